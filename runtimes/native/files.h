// Whole files, read and written.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace groundspeed {

// The content of a file; nothing when it cannot be read. Some files of /sys exist and still refuse.
std::optional<std::string> read_file(const std::string& path);

// What comes out of an open file until its end; nothing when it cannot be read.
std::optional<std::string> read_all(int file);

// Writes a file so that a reader, or a crash, sees the old content or the new, never a part.
// Raises LaunchError.
void write_atomically(const std::string& path, std::string_view content);

// A folder of its own that is gone, with the files in it, when this is.
class TemporaryFolder {
 public:
  // Raises LaunchError: there is no place to make one.
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace groundspeed
