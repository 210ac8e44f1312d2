#include "json.h"

#include <array>
#include <charconv>
#include <cstdio>
#include <cstdlib>

namespace groundspeed::json {
namespace {

constexpr int kDeepest = 64;  // nothing here nests deeper, and recursion must end somewhere

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Value whole() {
    Value value = this->value(0);
    end();
    return value;
  }

  void each_element(const std::function<void(const Value&)>& visit) {
    expect('[');
    if (!take(']')) {
      do visit(value(1));
      while (take(','));
      expect(']');
    }
    end();
  }

 private:
  Value value(int depth) {
    if (depth > kDeepest) fail("it nests too deep");
    switch (next()) {
      case '{':
        return object(depth);
      case '[':
        return array(depth);
      case '"':
        return string();
      case 't':
        return word("true", true);
      case 'f':
        return word("false", false);
      case 'n':
        return word("null", Value());
      default:
        return number();
    }
  }

  Value object(int depth) {
    Object members;
    expect('{');
    if (take('}')) return members;
    do {
      if (next() != '"') fail("a name in quotes was expected");
      std::string name = string();
      expect(':');
      members.emplace_back(std::move(name), value(depth + 1));
    } while (take(','));
    expect('}');
    return members;
  }

  Value array(int depth) {
    Array elements;
    expect('[');
    if (take(']')) return elements;
    do elements.push_back(value(depth + 1));
    while (take(','));
    expect(']');
    return elements;
  }

  std::string string() {
    std::string content;
    for (++at_; at_ < text_.size(); ++at_) {
      const char c = text_[at_];
      if (c == '"') {
        ++at_;
        return content;
      }
      if (static_cast<unsigned char>(c) < 0x20) fail("a control character inside a string");
      if (c == '\\') {
        escape(content);
      } else {
        content += c;
      }
    }
    fail("a string has no end");
  }

  void escape(std::string& content) {
    static constexpr std::string_view kLetters = "\"\\/bfnrt", kMeant = "\"\\/\b\f\n\r\t";
    if (++at_ >= text_.size()) fail("a string has no end");
    const std::size_t known = kLetters.find(text_[at_]);
    if (known != std::string_view::npos) {
      content += kMeant[known];
    } else if (text_[at_] == 'u') {
      append_utf8(code_point(), content);
    } else {
      fail("an unknown escape");
    }
  }

  // Reads the digits behind "\u", and the second half of a pair where that is what they are.
  std::uint32_t code_point() {
    const std::uint32_t first = four_digits();
    const bool high = first >= 0xD800 && first < 0xDC00;
    if (high && text_.substr(at_ + 1, 2) == "\\u") {
      const std::size_t before = at_;
      at_ += 2;
      const std::uint32_t second = four_digits();
      if (second >= 0xDC00 && second < 0xE000) {
        return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
      }
      at_ = before;
    }
    // Half a pair stands for no character.
    return first >= 0xD800 && first < 0xE000 ? 0xFFFD : first;
  }

  std::uint32_t four_digits() {
    const std::string_view digits = text_.substr(at_ + 1, 4);
    std::uint32_t code = 0;
    const auto read = std::from_chars(digits.data(), digits.data() + digits.size(), code, 16);
    if (digits.size() != 4 || read.ptr != digits.data() + 4) fail("an escape without 4 digits");
    at_ += 4;
    return code;
  }

  static void append_utf8(std::uint32_t code, std::string& out) {
    if (code < 0x80) {
      out += static_cast<char>(code);
      return;
    }
    const int more = code < 0x800 ? 1 : code < 0x10000 ? 2 : 3;
    static constexpr std::array<unsigned char, 4> kLead = {0, 0xC0, 0xE0, 0xF0};
    out += static_cast<char>(kLead[more] | (code >> (6 * more)));
    for (int rest = more - 1; rest >= 0; --rest) {
      out += static_cast<char>(0x80 | ((code >> (6 * rest)) & 0x3F));
    }
  }

  Value number() {
    const std::size_t begin = at_;
    if (peek_is('-')) ++at_;
    const bool leading_zero = peek_is('0');
    const std::size_t whole = digits();
    if (whole == 0 || (leading_zero && whole > 1)) fail("a value was expected");
    bool integral = true;
    if (peek_is('.')) {
      ++at_;
      integral = false;
      if (digits() == 0) fail("a number without digits behind its point");
    }
    if (peek_is('e') || peek_is('E')) {
      ++at_;
      integral = false;
      if (peek_is('+') || peek_is('-')) ++at_;
      if (digits() == 0) fail("a number without digits in its exponent");
    }
    const std::string written(text_.substr(begin, at_ - begin));
    std::int64_t exact = 0;
    const auto read = std::from_chars(written.data(), written.data() + written.size(), exact);
    if (integral && read.ec == std::errc()) return exact;
    return std::strtod(written.c_str(), nullptr);
  }

  std::size_t digits() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') ++at_;
    return at_ - begin;
  }

  Value word(std::string_view expected, Value meant) {
    if (text_.substr(at_, expected.size()) != expected) fail("a value was expected");
    at_ += expected.size();
    return meant;
  }

  bool peek_is(char c) const { return at_ < text_.size() && text_[at_] == c; }

  char next() {
    while (at_ < text_.size() && std::string_view(" \t\r\n").find(text_[at_]) != std::string::npos)
      ++at_;
    return at_ < text_.size() ? text_[at_] : '\0';
  }

  bool take(char c) {
    if (next() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }

  void expect(char c) {
    if (!take(c)) fail(std::string("'") + c + "' was expected");
  }

  void end() {
    next();
    if (at_ != text_.size()) fail("something follows its end");
  }

  [[noreturn]] void fail(const std::string& what) const {
    throw Malformed(what + " at byte " + std::to_string(at_));
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

// Returns how many bytes the character at `at` has, 0 where they are no UTF-8 (RFC 3629).
std::size_t character_size(std::string_view text, std::size_t at) {
  const auto byte = [text](std::size_t index) -> unsigned {
    return index < text.size() ? static_cast<unsigned char>(text[index]) : 0;
  };
  const unsigned lead = byte(at), second = byte(at + 1);
  if (lead < 0x80) return 1;
  if (lead < 0xC2 || lead > 0xF4) return 0;
  const std::size_t size = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  for (std::size_t index = at + 1; index < at + size; ++index) {
    if ((byte(index) & 0xC0) != 0x80) return 0;
  }
  // What a shorter sequence would say, halves of pairs, and what is beyond the last character.
  const bool none = (lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) ||
                    (lead == 0xF0 && second < 0x90) || (lead == 0xF4 && second > 0x8F);
  return none ? 0 : size;
}

// Messages quote what files hold, and that may be any bytes: they must not break the document.
void write_string(std::string_view content, std::string& out) {
  out += '"';
  for (std::size_t at = 0; at < content.size();) {
    const char c = content[at];
    const std::size_t size = character_size(content, at);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escaped[7];
      std::snprintf(escaped, sizeof escaped, "\\u%04x", c);
      out += escaped;
    } else if (size == 0) {
      out += "\\ufffd";
    } else {
      out += content.substr(at, size);
    }
    at += size == 0 ? 1 : size;
  }
  out += '"';
}

}  // namespace

std::optional<double> Value::number() const {
  if (const auto* whole = as<std::int64_t>()) return static_cast<double>(*whole);
  if (const auto* real = as<double>()) return *real;
  return std::nullopt;
}

const Value* Value::find(std::string_view key) const {
  if (const auto* members = as<Object>()) {
    // The last of equal names counts, as in Python.
    for (auto member = members->rbegin(); member != members->rend(); ++member) {
      if (member->first == key) return &member->second;
    }
  }
  return nullptr;
}

const char* Value::kind() const {
  static constexpr const char* kNames[] = {"null", "bool", "int", "float", "str", "list", "dict"};
  return kNames[held_.index()];
}

std::string Value::text() const {
  std::string out;
  write(out);
  return out;
}

void Value::write(std::string& out) const {
  if (const auto* truth = as<bool>()) {
    out += *truth ? "true" : "false";
  } else if (const auto* whole = as<std::int64_t>()) {
    out += std::to_string(*whole);
  } else if (const auto* real = as<double>()) {
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.17g", *real);
    out += digits;
  } else if (const auto* content = as<std::string>()) {
    write_string(*content, out);
  } else if (const auto* elements = as<Array>()) {
    out += '[';
    for (std::size_t index = 0; index < elements->size(); ++index) {
      if (index > 0) out += ", ";
      (*elements)[index].write(out);
    }
    out += ']';
  } else if (const auto* members = as<Object>()) {
    out += '{';
    for (std::size_t index = 0; index < members->size(); ++index) {
      if (index > 0) out += ", ";
      write_string((*members)[index].first, out);
      out += ": ";
      (*members)[index].second.write(out);
    }
    out += '}';
  } else {
    out += "null";
  }
}

Value parse(std::string_view text) { return Parser(text).whole(); }

void for_each_element(std::string_view text, const std::function<void(const Value&)>& visit) {
  Parser(text).each_element(visit);
}

}  // namespace groundspeed::json
