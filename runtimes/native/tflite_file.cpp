#include "tflite_file.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <iterator>
#include <optional>
#include <stdexcept>

#include "errors.h"
#include "tflite_op_names.h"

namespace groundspeed {
namespace {

constexpr std::size_t kIdentifier = 4;  // where "TFL3" lies
// Numbers of fields, by their order in the schema.
constexpr int kModelCodes = 1, kModelGraphs = 2, kModelBuffers = 4;
constexpr int kCodeOld = 0, kCodeCustom = 1, kCode = 3;
constexpr int kGraphTensors = 0, kGraphOperators = 3;
constexpr int kTensorShape = 0, kTensorBuffer = 2, kTensorName = 3, kTensorQuantization = 4;
constexpr int kOperatorCode = 0, kOperatorInputs = 1, kOperatorOutputs = 2, kOperatorOptions = 4;
constexpr int kBufferData = 0, kBufferOffset = 1, kBufferSize = 2;
constexpr std::int32_t kCustom = 32;

struct CutShort : std::runtime_error {
  CutShort() : std::runtime_error("it was cut short") {}
};

class Bytes {
 public:
  explicit Bytes(std::string_view bytes) : bytes_(bytes) {}

  template <typename T>
  T at(std::uint64_t position) const {
    check(position, sizeof(T));
    T value;
    std::memcpy(&value, bytes_.data() + position, sizeof(T));  // every target is little-endian
    return value;
  }

  std::string text(std::uint64_t position, std::uint64_t size) const {
    check(position, size);
    return std::string(bytes_.substr(position, size));
  }

  void check(std::uint64_t position, std::uint64_t size) const {
    if (position > bytes_.size() || size > bytes_.size() - position) throw CutShort();
  }

  // What a relative offset at a position points at.
  std::uint64_t target(std::uint64_t position) const {
    return position + at<std::uint32_t>(position);
  }

 private:
  std::string_view bytes_;
};

class Vector;

class Table {
 public:
  Table(const Bytes& bytes, std::uint64_t position) : bytes_(&bytes), position_(position) {
    const std::int64_t fields =
        static_cast<std::int64_t>(position) - bytes.at<std::int32_t>(position);
    if (fields < 0) throw CutShort();
    fields_ = static_cast<std::uint64_t>(fields);
    bytes.check(fields_, bytes.at<std::uint16_t>(fields_));
    bytes.check(position, bytes.at<std::uint16_t>(fields_ + 2));
  }

  // Where a field lies; nothing where it has its default.
  std::optional<std::uint64_t> field(int number) const {
    const std::uint64_t slot = 4 + 2 * static_cast<std::uint64_t>(number);
    if (slot + 2 > bytes_->at<std::uint16_t>(fields_)) return std::nullopt;
    const auto offset = bytes_->at<std::uint16_t>(fields_ + slot);
    if (offset == 0) return std::nullopt;
    return position_ + offset;
  }

  template <typename T>
  T scalar(int number, T fallback) const {
    const auto position = field(number);
    return position ? bytes_->at<T>(*position) : fallback;
  }

  std::string text(int number) const;
  Vector vector(int number, std::size_t item) const;
  // Follows a field to a table, to see that it is there.
  void follow(int number) const {
    if (const auto position = field(number)) Table(*bytes_, bytes_->target(*position));
  }

 private:
  const Bytes* bytes_;
  std::uint64_t position_, fields_;
};

// A vector of scalars of `item` bytes, or of tables.
class Vector {
 public:
  Vector(const Bytes& bytes, std::optional<std::uint64_t> position, std::size_t item)
      : bytes_(&bytes) {
    if (!position) return;
    begin_ = bytes.target(*position) + 4;
    size_ = bytes.at<std::uint32_t>(begin_ - 4);
    bytes.check(begin_, std::uint64_t{size_} * item);
  }

  std::uint32_t size() const { return size_; }

  Table table(std::uint32_t index) const {
    if (index >= size_) throw CutShort();
    return Table(*bytes_, bytes_->target(begin_ + 4 * std::uint64_t{index}));
  }

  std::int32_t integer(std::uint32_t index) const {
    return bytes_->at<std::int32_t>(begin_ + 4 * std::uint64_t{index});
  }

  std::string text() const { return bytes_->text(begin_, size_); }

 private:
  const Bytes* bytes_;
  std::uint64_t begin_ = 0;
  std::uint32_t size_ = 0;
};

std::string Table::text(int number) const { return vector(number, 1).text(); }

Vector Table::vector(int number, std::size_t item) const {
  return Vector(*bytes_, field(number), item);
}

std::vector<std::string> codes(const Table& model) {
  std::vector<std::string> names;
  const Vector all = model.vector(kModelCodes, 4);
  for (std::uint32_t index = 0; index < all.size(); ++index) {
    const Table code = all.table(index);
    // Codes up to 127 were one byte once, and old files have only that.
    const auto old = static_cast<std::int32_t>(code.scalar<std::int8_t>(kCodeOld, 0));
    const auto builtin = std::max(old, code.scalar<std::int32_t>(kCode, 0));
    if (builtin == kCustom) {
      names.push_back(code.text(kCodeCustom));
    } else if (builtin >= 0 && builtin < static_cast<std::int32_t>(std::size(kTfliteOpNames))) {
      names.emplace_back(kTfliteOpNames[builtin]);
    } else {
      names.push_back("operator " + std::to_string(builtin));
    }
  }
  return names;
}

// The names of a graph's tensors; all that they lead to is followed.
std::vector<std::string> tensor_names(const Table& graph, const Vector& buffers) {
  std::vector<std::string> names;
  const Vector tensors = graph.vector(kGraphTensors, 4);
  for (std::uint32_t index = 0; index < tensors.size(); ++index) {
    const Table tensor = tensors.table(index);
    tensor.vector(kTensorShape, 4);
    tensor.follow(kTensorQuantization);
    if (tensor.scalar<std::uint32_t>(kTensorBuffer, 0) >= buffers.size()) throw CutShort();
    names.push_back(tensor.text(kTensorName));
  }
  return names;
}

std::vector<std::string> named(const Vector& indices, const std::vector<std::string>& names) {
  std::vector<std::string> found;
  for (std::uint32_t index = 0; index < indices.size(); ++index) {
    // An optional input that is not given has the index -1.
    const std::int32_t tensor = indices.integer(index);
    if (tensor < 0) continue;
    if (static_cast<std::size_t>(tensor) >= names.size()) throw CutShort();
    found.push_back(names[static_cast<std::size_t>(tensor)]);
  }
  return found;
}

void check_buffers(const Bytes& bytes, const Vector& buffers) {
  for (std::uint32_t index = 0; index < buffers.size(); ++index) {
    const Table buffer = buffers.table(index);
    buffer.vector(kBufferData, 1);
    // Of a file beyond 2 GiB the data lie behind the tables. An offset of 1 means none.
    const auto offset = buffer.scalar<std::uint64_t>(kBufferOffset, 0);
    if (offset > 1) bytes.check(offset, buffer.scalar<std::uint64_t>(kBufferSize, 0));
  }
}

std::vector<TfliteNode> nodes(const Bytes& bytes) {
  const Table model(bytes, bytes.target(0));
  const Vector buffers = model.vector(kModelBuffers, 4), graphs = model.vector(kModelGraphs, 4);
  check_buffers(bytes, buffers);
  const std::vector<std::string> kinds = codes(model);
  std::vector<TfliteNode> first;
  for (std::uint32_t index = 0; index < graphs.size(); ++index) {
    const Table graph = graphs.table(index);
    const std::vector<std::string> names = tensor_names(graph, buffers);
    const Vector operators = graph.vector(kGraphOperators, 4);
    for (std::uint32_t number = 0; number < operators.size(); ++number) {
      const Table op = operators.table(number);
      op.follow(kOperatorOptions);
      const auto kind = op.scalar<std::uint32_t>(kOperatorCode, 0);
      if (kind >= kinds.size()) throw CutShort();
      TfliteNode node{kinds[kind], named(op.vector(kOperatorInputs, 4), names),
                      named(op.vector(kOperatorOutputs, 4), names)};
      if (index == 0) first.push_back(std::move(node));
    }
  }
  if (graphs.size() == 0) throw CutShort();
  return first;
}

}  // namespace

std::vector<TfliteNode> tflite_nodes(std::string_view file, const std::string& path) {
  const auto fail = [&](const std::string& what) {
    return ArtifactError(path + " is damaged or no TFLite file (" + what + "); export it again");
  };
  if (file.substr(std::min(file.size(), kIdentifier), 4) != "TFL3") {
    throw fail("it does not say that it is one");
  }
  try {
    return nodes(Bytes(file));
  } catch (const CutShort& problem) {
    throw fail(problem.what());
  }
}

}  // namespace groundspeed
