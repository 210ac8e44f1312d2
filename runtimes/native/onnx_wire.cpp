#include "onnx_wire.h"

#include <cstdint>
#include <functional>

#include "errors.h"

namespace groundspeed {
namespace {

// Numbers of fields: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
constexpr int kModelIrVersion = 1, kModelGraph = 7, kModelOpset = 8, kOpsetVersion = 2;
constexpr int kGraphNode = 1, kGraphName = 2, kGraphInput = 11, kGraphOutput = 12;
constexpr int kNodeInput = 1, kNodeOutput = 2, kNodeName = 3, kNodeType = 4;
constexpr int kValueName = 1, kValueType = 2;
// Kinds of fields: https://protobuf.dev/programming-guides/encoding/
constexpr int kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5;

[[noreturn]] void fail(const char* what) {
  throw LaunchError(std::string("an ONNX file cannot be read for profiling: ") + what);
}

std::uint64_t varint(std::string_view message, std::size_t& at) {
  std::uint64_t value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    if (at >= message.size()) fail("it ends inside a number");
    const auto byte = static_cast<unsigned char>(message[at++]);
    if (shift < 64) value |= static_cast<std::uint64_t>(byte & 0x7F) << shift;
    if (byte < 0x80) return value;
  }
  fail("a number has more than ten bytes");
}

// Calls `visit` with each length-delimited value of one field.
void messages(std::string_view message, int number,
              const std::function<void(std::string_view)>& visit) {
  std::size_t at = 0;
  while (at < message.size()) {
    const std::uint64_t tag = varint(message, at);
    const int kind = static_cast<int>(tag & 7);
    if (kind == kVarint) {
      varint(message, at);
      continue;
    }
    if (kind != kBytes && kind != kFixed64 && kind != kFixed32) fail("a field of an unknown kind");
    const std::uint64_t size = kind == kBytes ? varint(message, at) : kind == kFixed64 ? 8 : 4;
    if (size > message.size() - at) fail("a field reaches beyond the end");
    if (kind == kBytes && static_cast<int>(tag >> 3) == number) visit(message.substr(at, size));
    at += size;
  }
}

std::string encoded(std::uint64_t value) {
  std::string digits;
  for (; value > 0x7F; value >>= 7) digits += static_cast<char>((value & 0x7F) | 0x80);
  return digits + static_cast<char>(value);
}

std::string field(int number, const std::string& content) {
  return encoded(static_cast<std::uint64_t>(number) << 3 | kBytes) + encoded(content.size()) +
         content;
}

std::string whole(int number, std::uint64_t value) {
  return encoded(static_cast<std::uint64_t>(number) << 3 | kVarint) + encoded(value);
}

// A ValueInfoProto: its name, and the type tensor(float) of shape [1].
std::string scalar(const std::string& name) {
  const std::string shape = field(1, whole(1, 1));
  return field(kValueName, name) + field(kValueType, field(1, whole(1, 1) + field(2, shape)));
}

}  // namespace

std::vector<OnnxNode> onnx_nodes(std::string_view model) {
  std::vector<OnnxNode> nodes;
  messages(model, kModelGraph, [&](std::string_view graph) {
    messages(graph, kGraphNode, [&](std::string_view message) {
      OnnxNode& node = nodes.emplace_back();
      messages(message, kNodeName, [&](std::string_view name) { node.name += name; });
      messages(message, kNodeType, [&](std::string_view type) { node.type += type; });
      messages(message, kNodeOutput, [&](std::string_view output) {
        if (!output.empty()) node.outputs.emplace_back(output);
      });
      messages(message, kNodeInput, [&](std::string_view input) {
        if (!input.empty()) node.inputs.emplace_back(input);
      });
    });
  });
  return nodes;
}

std::string onnx_chain(const std::string& op, int length) {
  std::string graph;
  for (int step = 0; step < length; ++step) {
    graph +=
        field(kGraphNode, field(kNodeInput, std::to_string(step)) +
                              field(kNodeOutput, std::to_string(step + 1)) + field(kNodeType, op));
  }
  graph += field(kGraphName, "chain") + field(kGraphInput, scalar("0")) +
           field(kGraphOutput, scalar(std::to_string(length)));
  return whole(kModelIrVersion, 8) + field(kModelOpset, whole(kOpsetVersion, 17)) +
         field(kModelGraph, graph);
}

}  // namespace groundspeed
