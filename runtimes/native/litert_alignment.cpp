#include "litert_alignment.h"

#include <algorithm>
#include <cctype>
#include <map>
#include <set>
#include <string_view>

namespace groundspeed {
namespace {

using Prefixes = std::vector<std::string_view>;

// What XNNPACK calls an operator, where it is not the operator's own name.
const std::map<std::string, Prefixes>& xnnpack_names() {
  static const std::map<std::string, Prefixes> kNames = {
      {"AVERAGE_POOL_2D", {"Average Pooling"}},
      {"BATCH_MATMUL", {"Batch Matrix Multiply"}},
      {"CAST", {"Convert"}},
      {"CEIL", {"Ceiling"}},
      {"CONCATENATION", {"Copy", "Concat"}},
      {"CONV_2D", {"Convolution", "Fully Connected"}},
      {"COS", {"Cosine"}},
      {"DEPTHWISE_CONV_2D", {"Convolution"}},
      {"DEQUANTIZE", {"Convert", "Copy"}},
      {"DIV", {"Divide"}},
      {"EXPAND_DIMS", {"Static Reshape", "Copy"}},
      {"LOGISTIC", {"Sigmoid"}},
      {"MAXIMUM", {"Maximum", "Clamp"}},
      {"MAX_POOL_2D", {"Max Pooling"}},
      {"MEAN", {"Mean", "Global Average"}},
      {"MINIMUM", {"Minimum", "Clamp"}},
      {"MUL", {"Multiply", "Square (", "Invalid Unary Op"}},
      {"NEG", {"Negate"}},
      {"PAD", {"Constant Pad", "Copy"}},
      {"PADV2", {"Constant Pad", "Copy"}},
      {"QUANTIZE", {"Convert", "Copy"}},
      {"RELU", {"Clamp"}},
      {"RELU6", {"Clamp"}},
      {"RELU_0_TO_1", {"Clamp"}},
      {"RELU_N1_TO_1", {"Clamp"}},
      {"RESHAPE", {"Static Reshape", "Copy"}},
      {"ROUND", {"Bankers Rounding"}},
      {"RSQRT", {"Reciprocal Square Root"}},
      {"SIN", {"Sine"}},
      {"SPLIT", {"Slice", "Split"}},
      {"SQRT", {"Square Root"}},
      {"SQUEEZE", {"Static Reshape", "Copy"}},
      {"STRIDED_SLICE", {"Slice"}},
      {"SUB", {"Subtract"}},
      {"TRANSPOSE", {"Transpose", "Copy"}},
      {"TRANSPOSE_CONV", {"Deconvolution"}},
  };
  return kNames;
}

// What one operator may be followed by: its fused activation, or copies of its other inputs.
const Prefixes kMore = {"Clamp", "Convert", "Copy"};
constexpr std::size_t kMost = 4;
// Operators that XNNPACK makes part of the operator before them, or after them.
const std::set<std::string> kIntoPrevious = {"MAXIMUM", "MINIMUM",     "RELU",
                                             "RELU6",   "RELU_0_TO_1", "RELU_N1_TO_1"};
const std::set<std::string> kIntoNext = {"DEQUANTIZE", "PAD", "PADV2"};

// Only their order matters; see the Python file.
constexpr int kUsualFusion = 1, kSecondEvent = 2, kNoTrace = 4, kOutOfNowhere = 5;
constexpr int kNobody = -1;  // what an event is left to that no operator takes

bool begins_with_one_of(std::string_view text, const Prefixes& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view prefix) {
    return text.substr(0, prefix.size()) == prefix;
  });
}

// Letters and digits alone, in lower case.
std::string bare(std::string_view text) {
  std::string out;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte)) out += static_cast<char>(std::tolower(byte));
  }
  return out;
}

// Whether an operator of the file can have left an event of this name.
bool fits(const std::string& op, const std::string& event) {
  const auto known = xnnpack_names().find(op);
  if (known != xnnpack_names().end()) return begins_with_one_of(event, known->second);
  return begins_with_one_of(bare(event), {bare(op)});
}

// How many of the events from `first` on the operator could take at most.
std::size_t fitting(const std::string& op, const std::vector<std::string>& events,
                    std::size_t first) {
  if (first == events.size() || !fits(op, events[first])) return 0;
  std::size_t taken = 1;
  while (taken < kMost && first + taken < events.size() &&
         begins_with_one_of(events[first + taken], kMore)) {
    ++taken;
  }
  return taken;
}

using Grid = std::vector<std::vector<int>>;

// How many events an operator takes at each pair of positions, or kNobody. Filled from the end, so
// that it can be read from the start.
Grid cheapest(const std::vector<std::string>& ops, const std::vector<std::string>& events) {
  const std::size_t size = ops.size(), count = events.size();
  Grid costs(size + 1, std::vector<int>(count + 1)),
      takes(size + 1, std::vector<int>(count + 1, kNobody));
  for (std::size_t event = 0; event <= count; ++event) {
    costs[size][event] = static_cast<int>(count - event) * kOutOfNowhere;
  }
  for (std::size_t node = size; node-- > 0;) {
    const bool fused = kIntoPrevious.count(ops[node]) + kIntoNext.count(ops[node]) > 0;
    for (std::size_t event = count + 1; event-- > 0;) {
      int& cost = costs[node][event];
      int& take = takes[node][event];
      bool first = true;
      // Of equal costs the earlier choice stands.
      const auto choose = [&](int chosen_cost, int chosen) {
        if (first || chosen_cost < cost) cost = chosen_cost, take = chosen;
        first = false;
      };
      const auto most = static_cast<int>(fitting(ops[node], events, event));
      for (int taken = 1; taken <= most; ++taken) {
        choose(costs[node + 1][event + taken] + (taken - 1) * kSecondEvent, taken);
      }
      // After the takes: of a fused chain that costs the same, the first operator shall have the
      // event, and the rest are found as fused into it.
      choose(costs[node + 1][event] + (fused ? kUsualFusion : kNoTrace), 0);
      if (event < count) choose(costs[node][event + 1] + kOutOfNowhere, kNobody);
    }
  }
  return takes;
}

// Operator of each event of the cheapest alignment that keeps both orders.
std::map<std::size_t, std::size_t> pairs(const std::vector<std::string>& ops,
                                         const std::vector<std::string>& events) {
  const Grid takes = cheapest(ops, events);
  std::map<std::size_t, std::size_t> owners;
  std::size_t node = 0, event = 0;
  while (node < ops.size() || event < events.size()) {
    const int take = takes[node][event];
    if (take == kNobody) {
      ++event;
      continue;
    }
    for (int taken = 0; taken < take; ++taken) owners[event++] = node;
    ++node;
  }
  return owners;
}

bool reads_one_of(const TfliteNode& node, const std::vector<std::string>& tensors) {
  return std::any_of(node.inputs.begin(), node.inputs.end(), [&](const std::string& input) {
    return std::find(tensors.begin(), tensors.end(), input) != tensors.end();
  });
}

// For each event, the events whose results it reads; see the Python file.
std::map<std::size_t, Positions> reads(const std::vector<TfliteNode>& nodes,
                                       const std::map<std::size_t, std::size_t>& owners) {
  std::map<std::size_t, std::vector<std::size_t>> events;  // operator -> events
  for (const auto& [event, owner] : owners) events[owner].push_back(event);
  std::map<std::string, std::set<std::size_t>> makers;
  std::map<std::size_t, Positions> found;
  for (std::size_t index = 0; index < nodes.size(); ++index) {
    std::set<std::size_t> sources;
    for (const std::string& input : nodes[index].inputs) {
      const std::set<std::size_t>& made = makers[input];
      sources.insert(made.begin(), made.end());
    }
    for (const std::size_t event : events[index]) {
      found[event] = Positions(sources.begin(), sources.lower_bound(event));
      sources = {event};
    }
    for (const std::string& output : nodes[index].outputs) makers[output] = sources;
  }
  return found;
}

ProfiledOp profiled(const std::string& name, std::size_t owner,
                    const std::vector<TfliteNode>& nodes, const std::set<std::size_t>& traced,
                    const Positions& reads) {
  const TfliteNode* last = &nodes[owner];
  for (std::size_t index = owner + 1; index < nodes.size(); ++index) {
    const TfliteNode& node = nodes[index];
    if (traced.count(index) == 0 && kIntoPrevious.count(node.op) != 0 &&
        reads_one_of(node, last->outputs)) {
      last = &node;
    }
  }
  return {nodes[owner].op + " " + std::to_string(owner), name, last->outputs, false, reads};
}

}  // namespace

std::vector<ProfiledOp> align(const std::vector<TfliteNode>& nodes,
                              const std::vector<Executed>& executed) {
  std::map<std::size_t, std::size_t> owners;  // event -> operator
  std::set<std::size_t> traced;
  std::vector<std::size_t> delegated, left;
  std::vector<std::string> events, ops;
  for (std::size_t index = 0; index < executed.size(); ++index) {
    const Executed& event = executed[index];
    if (event.node && *event.node < nodes.size()) {
      owners[index] = *event.node;
      traced.insert(*event.node);
    } else if (!event.stage) {
      delegated.push_back(index);
      events.push_back(event.name);
    }
  }
  for (std::size_t index = 0; index < nodes.size(); ++index) {
    if (traced.count(index) != 0) continue;
    left.push_back(index);
    ops.push_back(nodes[index].op);
  }
  for (const auto& [event, op] : pairs(ops, events)) {
    owners[delegated[event]] = left[op];
    traced.insert(left[op]);
  }
  std::map<std::size_t, Positions> flow = reads(nodes, owners);
  std::vector<ProfiledOp> profile;
  for (std::size_t index = 0; index < executed.size(); ++index) {
    const auto owner = owners.find(index);
    const auto& [name, node, stage] = executed[index];
    profile.push_back(owner == owners.end()
                          ? ProfiledOp{name, name, {}, true, {}, stage}
                          : profiled(name, owner->second, nodes, traced, flow[index]));
  }
  return profile;
}

}  // namespace groundspeed
