// ONNX Runtime's profile: a Chrome trace in JSON. See runtimes/onnxruntime_trace.py.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "onnx_wire.h"
#include "session.h"

namespace groundspeed {

// What a trace says of the runs that count.
struct Trace {
  std::vector<std::pair<std::string, std::string>> kernels;  // node and op type, in order
  std::vector<Durations> times_ns;                           // of each node, in each run
};

// Raises LaunchError: the trace has fewer runs than were counted, or they executed different nodes.
Trace read_trace(std::string_view text, const std::vector<std::size_t>& counted);

// The executed ops with the names of the file's tensors that they produce.
std::vector<ProfiledOp> traced_ops(const Trace& trace, const std::vector<OnnxNode>& optimized,
                                   const std::vector<OnnxNode>& original);

}  // namespace groundspeed
