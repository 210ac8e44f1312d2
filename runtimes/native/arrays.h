// Arrays and what describes them: the same words for shapes and types as numpy has.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace groundspeed {

using Shape = std::vector<std::int64_t>;

// An array in row-major order.
struct Array {
  std::string dtype;  // numpy's name: "float32", "int8", ...
  Shape shape;
  std::vector<unsigned char> bytes;
};

struct NamedArray {
  std::string name;
  Array array;
};

// An input or output of a network.
struct TensorSpec {
  std::string name;
  Shape shape;
  std::string dtype;
};

// Number of elements; 1 for a scalar.
std::int64_t count(const Shape& shape);

// "[1, 3, 224, 224]"
std::string text(const Shape& shape);

// Bytes of one element, 0 for a dtype that is not known.
std::size_t item_size(const std::string& dtype);

// Whether every element is finite; integers always are.
bool is_finite(const Array& array);

// The elements as float32, however they are stored.
std::vector<float> as_floats(const Array& array);

}  // namespace groundspeed
