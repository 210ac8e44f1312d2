// Input arrays, checked before an engine sees them, and the files of an artifact.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "arrays.h"

namespace groundspeed {

// The inputs in the order of `specs`.
// Raises InputError: an input is missing, unknown, or of another shape or dtype.
std::vector<NamedArray> checked(const std::vector<TensorSpec>& specs,
                                const std::vector<NamedArray>& given);

// The path that plays a role. Raises ArtifactError: no file plays it, or it is missing or empty.
std::string file_of(const std::map<std::string, std::string>& files, const std::string& role);

// The content of that file. Raises ArtifactError.
std::string content_of(const std::string& path);

}  // namespace groundspeed
