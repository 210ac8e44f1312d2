// numpy's .npz files: a ZIP archive with one .npy file for each array.
//
// https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html and
// https://pkware.cachefly.net/webdocs/casestudies/APPNOTE.TXT. What numpy.savez writes is read:
// stored, not compressed, with or without ZIP64.
#pragma once

#include <string>
#include <vector>

#include "arrays.h"

namespace groundspeed {

// Raises InputError: the file is missing, damaged, compressed, or holds something else than arrays.
std::vector<NamedArray> read_npz(const std::string& path);

// Raises LaunchError: the file cannot be written.
void write_npz(const std::string& path, const std::vector<NamedArray>& arrays);

}  // namespace groundspeed
