// Which operator of the file stands behind each thing that LiteRT executed.
//
// runtimes/litert_alignment.py in C++, where it is explained: the same costs give the same answers.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "session.h"
#include "tflite_file.h"

namespace groundspeed {

// One thing that LiteRT executed.
struct Executed {
  std::string name;                 // the profiler's: "PADV2", "Convolution (NHWC, F32) IGEMM"
  std::optional<std::size_t> node;  // the file's operator, where LiteRT's own kernel computed it
  bool stage = false;               // whether it belongs to a run of LiteRT and not to any operator
};

// What was executed, each with the tensors of the operator behind it.
std::vector<ProfiledOp> align(const std::vector<TfliteNode>& nodes,
                              const std::vector<Executed>& executed);

}  // namespace groundspeed
