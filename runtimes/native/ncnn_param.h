// The graph of an ncnn network: what a .param file says. See runtimes/ncnn_param.py.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "arrays.h"

namespace groundspeed {

// One layer: what it is, which blobs it takes and gives, and its parameters as written.
struct NcnnLayer {
  std::string type;
  std::string name;
  std::vector<std::string> bottoms;
  std::vector<std::string> tops;
  std::vector<std::string> parameters;

  // A parameter that is a whole number; 0 where none is written, as in ncnn.
  std::int64_t integer(int key) const;
};

// The layers that the text of a .param file lists, in order of computation.
// Raises ArtifactError, which names `path`: it is no such text, or it is cut short.
std::vector<NcnnLayer> parse_param(std::string_view text, const std::string& path);

}  // namespace groundspeed
