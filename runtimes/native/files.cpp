#include "files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "errors.h"

namespace groundspeed {
namespace {

bool write_all(int file, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = ::write(file, content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return false;
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  return true;
}

}  // namespace

std::optional<std::string> read_file(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return std::nullopt;
  std::optional<std::string> content = read_all(file);
  ::close(file);
  return content;
}

std::optional<std::string> read_all(int file) {
  std::string content;
  char block[1 << 16];
  ssize_t size = 0;
  while ((size = ::read(file, block, sizeof block)) != 0) {
    if (size > 0) content.append(block, static_cast<std::size_t>(size));
    if (size < 0 && errno != EINTR) return std::nullopt;
  }
  return content;
}

void write_atomically(const std::string& path, std::string_view content) {
  const std::string temporary = path + "." + std::to_string(::getpid()) + ".part";
  const int file = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
  bool done = file >= 0 && write_all(file, content) && ::fsync(file) == 0;
  const int problem = errno;
  if (file >= 0) ::close(file);
  done = done && ::rename(temporary.c_str(), path.c_str()) == 0;
  if (!done) {
    ::unlink(temporary.c_str());
    throw LaunchError(path + " cannot be written (" + std::strerror(problem) +
                      "); make room, or name a folder that may be written to");
  }
}

TemporaryFolder::TemporaryFolder() {
  const char* asked = std::getenv("TMPDIR");
  // Android has no /tmp; the folder of the job is the agent's working folder there.
  for (const std::string parent : {asked != nullptr ? asked : "/tmp", "/tmp", "."}) {
    std::string name = parent + "/groundspeed-XXXXXX";
    if (::mkdtemp(name.data()) != nullptr) {
      path_ = name;
      return;
    }
  }
  throw LaunchError("no temporary folder can be made; set TMPDIR to one that may be written to");
}

TemporaryFolder::~TemporaryFolder() {
  if (DIR* folder = ::opendir(path_.c_str())) {
    while (const dirent* entry = ::readdir(folder)) {
      ::unlink((path_ + "/" + entry->d_name).c_str());
    }
    ::closedir(folder);
  }
  ::rmdir(path_.c_str());
}

}  // namespace groundspeed
