// The few fields of an ONNX file that profiling needs; see runtimes/onnx_wire.py.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace groundspeed {

// One node of the main graph: its name and op type, and the tensors that it computes and reads.
struct OnnxNode {
  std::string name;
  std::string type;
  std::vector<std::string> outputs;
  std::vector<std::string> inputs;
};

// The nodes of the main graph, in the file's order. Raises LaunchError: it is no ONNX file.
std::vector<OnnxNode> onnx_nodes(std::string_view model);

// A model that sends one float through `length` nodes of one type, "0" to the last.
//
// It computes next to nothing, so that running it shows what an engine costs by itself.
std::string onnx_chain(const std::string& op, int length);

}  // namespace groundspeed
