#include "onnxruntime_trace.h"

#include <algorithm>
#include <cctype>
#include <deque>
#include <map>
#include <set>

#include "errors.h"
#include "json.h"

namespace groundspeed {
namespace {

constexpr std::string_view kKernel = "_kernel_time", kBlocked = "_nchwc", kToken = "_token_",
                           kFusion = "Fusion/";
const std::set<std::string> kInserted = {"ReorderInput", "ReorderOutput", "MemcpyToHost",
                                         "MemcpyFromHost"};

using Kernels = std::vector<std::pair<std::string, std::string>>;

struct Run {
  Kernels kernels;
  Durations times_ns;
};

std::string member(const json::Value& event, const char* key) {
  const json::Value* value = event.find(key);
  const auto* text = value == nullptr ? nullptr : value->as<std::string>();
  return text == nullptr ? "" : *text;
}

bool ends_with(const std::string& text, std::string_view end) {
  return text.size() >= end.size() && text.compare(text.size() - end.size(), end.size(), end) == 0;
}

void add_kernel(const json::Value& event, std::string name, Run& run) {
  const json::Value* arguments = event.find("args");
  const json::Value* microseconds = event.find("dur");
  if (arguments == nullptr || microseconds == nullptr || !microseconds->number()) {
    throw LaunchError("ONNX Runtime's profile has a kernel without a duration");
  }
  name.resize(name.size() - kKernel.size());
  run.kernels.emplace_back(std::move(name), member(*arguments, "op_name"));
  run.times_ns.push_back(static_cast<std::int64_t>(*microseconds->number()) * 1000);
}

// The kernels of each run; the event of a run follows those of its kernels.
std::vector<Run> runs(std::string_view text) {
  std::vector<Run> made;
  Run run;
  try {
    json::for_each_element(text, [&](const json::Value& event) {
      const std::string name = member(event, "name");
      if (member(event, "cat") == "Node" && ends_with(name, kKernel)) {
        add_kernel(event, name, run);
      } else if (name == "model_run") {
        made.push_back(std::move(run));
        run = Run();
      }
    });
  } catch (const json::Malformed& problem) {
    throw LaunchError(std::string("ONNX Runtime's profile is no JSON (") + problem.what() + ")");
  }
  return made;
}

// A fused node's name has the suffix "_token_5", after "/QuickGeluFusion/" where it is fused twice.
std::string without_token(const std::string& name) {
  const std::size_t at = name.rfind(kToken);
  if (at == std::string::npos || at + kToken.size() == name.size()) return name;
  const bool number = std::all_of(name.begin() + static_cast<std::ptrdiff_t>(at + kToken.size()),
                                  name.end(), [](unsigned char c) { return std::isdigit(c) != 0; });
  return number ? name.substr(0, at) : name;
}

std::string without_fusion(const std::string& name) {
  if (!ends_with(name, kFusion)) return name;
  const std::size_t at = name.find_last_of('/', name.size() - 2);
  return at == std::string::npos ? name : name.substr(0, at);
}

// The node behind each kernel; see the Python file.
class NodesByName {
 public:
  explicit NodesByName(const std::vector<OnnxNode>& nodes) {
    for (const OnnxNode& node : nodes) {
      if (node.name.empty()) {
        nameless_[node.type].push_back(node);
      } else {
        named_[node.name] = node;
      }
    }
  }

  OnnxNode take(const std::string& name, const std::string& type) {
    const auto found = named_.find(name);
    if (found != named_.end()) return found->second;
    std::deque<OnnxNode>& left = nameless_[type];
    if (left.empty()) return {name, type, {}, {}};
    OnnxNode taken = std::move(left.front());
    left.pop_front();
    return taken;
  }

 private:
  std::map<std::string, OnnxNode> named_;
  std::map<std::string, std::deque<OnnxNode>> nameless_;
};

}  // namespace

Trace read_trace(std::string_view text, const std::vector<std::size_t>& counted) {
  const std::vector<Run> made = runs(text);
  if (counted.empty() || made.size() <= counted.back()) {
    throw LaunchError("ONNX Runtime's profile has " + std::to_string(made.size()) +
                      " runs where more were made; ask for fewer profiled runs");
  }
  Trace trace;
  trace.kernels = made[counted[0]].kernels;
  trace.times_ns.resize(trace.kernels.size());
  for (const std::size_t index : counted) {
    if (made[index].kernels != trace.kernels) {
      throw LaunchError(
          "ONNX Runtime executed different nodes from run to run, so their times cannot be lined "
          "up; a network with branches cannot be profiled");
    }
    for (std::size_t kernel = 0; kernel < trace.kernels.size(); ++kernel) {
      trace.times_ns[kernel].push_back(made[index].times_ns[kernel]);
    }
  }
  return trace;
}

std::vector<ProfiledOp> traced_ops(const Trace& trace, const std::vector<OnnxNode>& optimized,
                                   const std::vector<OnnxNode>& original) {
  using Tensors = std::vector<std::string>;
  std::map<std::string, Tensors> fused;
  std::set<std::string> known;
  for (const OnnxNode& node : original) {
    known.insert(node.outputs.begin(), node.outputs.end());
    if (!node.name.empty()) fused[node.name] = node.outputs;
  }
  const auto tensors = [&](const OnnxNode& node) -> Tensors {
    const std::size_t blocked = node.name.rfind(kBlocked);
    if (blocked != std::string::npos && known.count(node.name.substr(0, blocked)) != 0) {
      return {node.name.substr(0, blocked)};
    }
    Tensors own;
    for (const std::string& name : node.outputs) {
      if (known.count(name) != 0) own.push_back(name);
    }
    return own.empty() ? fused[without_fusion(without_token(node.name))] : own;
  };
  NodesByName nodes(optimized);
  DataFlow flow;
  std::vector<ProfiledOp> ops;
  for (const auto& [name, kind] : trace.kernels) {
    const bool inserted = kInserted.count(kind) != 0;
    const OnnxNode node = nodes.take(name, kind);
    ops.push_back({name, kind, inserted ? Tensors() : tensors(node), inserted,
                   flow.next(node.inputs, node.outputs)});
  }
  return ops;
}

}  // namespace groundspeed
