// The operators of a TFLite file, read from its bytes; and whether it is whole.
//
// A TFLite file is a FlatBuffer (https://flatbuffers.dev/internals/): tables point at their fields
// by offsets. LiteRT follows them unchecked, and ends the process with a segmentation fault on a
// file that was cut short, so all that it will follow is followed here first. Field numbers are
// those of
// https://github.com/tensorflow/tensorflow/blob/master/tensorflow/compiler/mlir/lite/schema/schema.fbs.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace groundspeed {

// One operator: its kind in the words of the schema ("CONV_2D"), and names of its tensors.
struct TfliteNode {
  std::string op;
  std::vector<std::string> inputs;
  std::vector<std::string> outputs;
};

// The operators of the first graph, in order. Raises ArtifactError, which names `path`.
std::vector<TfliteNode> tflite_nodes(std::string_view file, const std::string& path);

}  // namespace groundspeed
