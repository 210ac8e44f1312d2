#include "feeds.h"

#include <sys/stat.h>

#include <algorithm>
#include <optional>

#include "errors.h"
#include "files.h"
#include "session.h"

namespace groundspeed {
namespace {

template <typename Named>
auto find(const std::vector<Named>& all, const std::string& name) {
  return std::find_if(all.begin(), all.end(), [&](const Named& one) { return one.name == name; });
}

void check(const TensorSpec& spec, const Array& array) {
  if (array.shape != spec.shape) {
    throw InputError("the input '" + spec.name + "' has shape " + text(array.shape) +
                     ", the network takes " + text(spec.shape));
  }
  if (array.dtype != spec.dtype) {
    throw InputError("the input '" + spec.name + "' is " + array.dtype + ", the network takes " +
                     spec.dtype);
  }
}

}  // namespace

std::vector<NamedArray> checked(const std::vector<TensorSpec>& specs,
                                const std::vector<NamedArray>& given) {
  for (const NamedArray& array : given) {
    if (find(specs, array.name) != specs.end()) continue;
    std::string known;
    for (const TensorSpec& spec : specs) known += (known.empty() ? "" : ", ") + spec.name;
    throw InputError("the network has no input '" + array.name + "'; its inputs are: " + known);
  }
  std::vector<NamedArray> ordered;
  for (const TensorSpec& spec : specs) {
    const auto found = find(given, spec.name);
    if (found == given.end()) {
      throw InputError("the input '" + spec.name + "' is missing; give an array for it");
    }
    check(spec, found->array);
    ordered.push_back(*found);
  }
  return ordered;
}

std::string file_of(const std::map<std::string, std::string>& files, const std::string& role) {
  const auto found = files.find(role);
  if (found == files.end()) {
    std::string given;
    for (const auto& [name, path] : files) given += (given.empty() ? "" : ", ") + name;
    throw ArtifactError(std::string(kRuntime) + " opens a file in the role '" + role +
                        "', but was given " + (given.empty() ? "nothing" : given));
  }
  struct stat status{};
  if (::stat(found->second.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
    throw ArtifactError(found->second + " is missing; export it again");
  }
  if (status.st_size == 0) throw ArtifactError(found->second + " is empty; export it again");
  return found->second;
}

std::string content_of(const std::string& path) {
  std::optional<std::string> content = read_file(path);
  if (!content) throw ArtifactError(path + " cannot be read; export it again");
  return std::move(*content);
}

}  // namespace groundspeed
