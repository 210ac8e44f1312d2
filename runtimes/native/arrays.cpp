#include "arrays.h"

#include <cmath>
#include <cstring>
#include <map>

namespace groundspeed {
namespace {

// IEEE 754 binary16: no compiler type for it can be relied upon on every target.
float half_to_float(std::uint16_t half) {
  const int exponent = (half >> 10) & 0x1F;
  const auto fraction = static_cast<float>(half & 0x3FF);
  float magnitude = 0;
  if (exponent == 0x1F) {
    magnitude = fraction == 0 ? HUGE_VALF : NAN;
  } else if (exponent == 0) {
    magnitude = std::ldexp(fraction, -24);
  } else {
    magnitude = std::ldexp(1024 + fraction, exponent - 25);
  }
  return (half & 0x8000) != 0 ? -magnitude : magnitude;
}

template <typename T>
std::vector<float> converted(const Array& array) {
  std::vector<float> floats(array.bytes.size() / sizeof(T));
  for (std::size_t index = 0; index < floats.size(); ++index) {
    T element;  // the bytes need not lie aligned
    std::memcpy(&element, array.bytes.data() + index * sizeof(T), sizeof(T));
    floats[index] = static_cast<float>(element);
  }
  return floats;
}

}  // namespace

std::int64_t count(const Shape& shape) {
  std::int64_t product = 1;
  for (const std::int64_t size : shape) product *= size;
  return product;
}

std::string text(const Shape& shape) {
  std::string out = "[";
  for (const std::int64_t size : shape) {
    if (out.size() > 1) out += ", ";
    out += std::to_string(size);
  }
  return out + "]";
}

std::size_t item_size(const std::string& dtype) {
  static const std::map<std::string, std::size_t> kSizes = {
      {"bool", 1},    {"int8", 1},  {"uint8", 1},  {"int16", 2}, {"uint16", 2}, {"float16", 2},
      {"float32", 4}, {"int32", 4}, {"uint32", 4}, {"int64", 8}, {"uint64", 8}, {"float64", 8}};
  const auto found = kSizes.find(dtype);
  return found == kSizes.end() ? 0 : found->second;
}

bool is_finite(const Array& array) {
  if (array.dtype == "float64") {  // what is large there need not be infinite
    for (std::size_t at = 0; at + 8 <= array.bytes.size(); at += 8) {
      double element = 0;
      std::memcpy(&element, array.bytes.data() + at, sizeof element);
      if (!std::isfinite(element)) return false;
    }
    return true;
  }
  if (array.dtype != "float32" && array.dtype != "float16") return true;
  for (const float element : as_floats(array)) {
    if (!std::isfinite(element)) return false;
  }
  return true;
}

std::vector<float> as_floats(const Array& array) {
  if (array.dtype == "float32") return converted<float>(array);
  if (array.dtype == "float64") return converted<double>(array);
  if (array.dtype == "int8") return converted<std::int8_t>(array);
  if (array.dtype == "int16") return converted<std::int16_t>(array);
  if (array.dtype == "int32") return converted<std::int32_t>(array);
  if (array.dtype == "int64") return converted<std::int64_t>(array);
  if (array.dtype == "uint16") return converted<std::uint16_t>(array);
  if (array.dtype == "uint32") return converted<std::uint32_t>(array);
  if (array.dtype == "uint64") return converted<std::uint64_t>(array);
  if (array.dtype == "float16") {
    std::vector<float> floats(array.bytes.size() / 2);
    for (std::size_t index = 0; index < floats.size(); ++index) {
      std::uint16_t half = 0;
      std::memcpy(&half, array.bytes.data() + 2 * index, sizeof half);
      floats[index] = half_to_float(half);
    }
    return floats;
  }
  return converted<std::uint8_t>(array);  // uint8 and bool
}

}  // namespace groundspeed
