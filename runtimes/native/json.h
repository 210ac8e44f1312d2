// JSON (RFC 8259), as much of it as a job, a launch and ONNX Runtime's traces need.
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace groundspeed::json {

class Value;
using Array = std::vector<Value>;
using Member = std::pair<std::string, Value>;
using Object = std::vector<Member>;  // in the order written

// A text is no JSON; the message says where it stops being one.
struct Malformed : std::runtime_error {
  using std::runtime_error::runtime_error;
};

class Value {
 public:
  Value() = default;  // null
  Value(bool value) : held_(value) {}
  Value(int value) : held_(static_cast<std::int64_t>(value)) {}
  Value(std::int64_t value) : held_(value) {}
  Value(double value) : held_(value) {}
  Value(std::string value) : held_(std::move(value)) {}
  Value(const char* value) : held_(std::string(value)) {}
  Value(Array value) : held_(std::move(value)) {}
  Value(Object value) : held_(std::move(value)) {}

  // The value of an optional, or null.
  template <typename T>
  Value(const std::optional<T>& value) {
    if (value) *this = Value(*value);
  }

  // What each element of a vector is as JSON.
  template <typename T>
  static Value list(const std::vector<T>& elements) {
    return Array(elements.begin(), elements.end());
  }

  bool is_null() const { return std::holds_alternative<std::monostate>(held_); }
  // The content if it is of this kind, else nullptr.
  template <typename T>
  const T* as() const {
    return std::get_if<T>(&held_);
  }
  // A number of either kind.
  std::optional<double> number() const;
  // The member of an object; nullptr if there is none, or this is no object.
  const Value* find(std::string_view key) const;
  // "str", "int", ...: the kind in Python's words, for messages.
  const char* kind() const;
  // One line of text. Doubles must be finite: JSON has no word for the others.
  std::string text() const;

 private:
  void write(std::string& out) const;

  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> held_;
};

// The value that a whole text describes. Raises Malformed.
Value parse(std::string_view text);

// Calls `visit` with each element of the array that a whole text describes, one at a time, so that
// a long text does not have to be held as values. Raises Malformed.
void for_each_element(std::string_view text, const std::function<void(const Value&)>& visit);

}  // namespace groundspeed::json
