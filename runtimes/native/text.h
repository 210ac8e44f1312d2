// Pieces of text. Streams would do it too, and bring half a megabyte of locales into each runner.
#pragma once

#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace groundspeed {

// Parts between any of the separators, empty ones left out.
inline std::vector<std::string> pieces(std::string_view text, std::string_view separators) {
  std::vector<std::string> found;
  std::size_t begin = 0;
  while ((begin = text.find_first_not_of(separators, begin)) != std::string_view::npos) {
    const std::size_t end = std::min(text.find_first_of(separators, begin), text.size());
    found.emplace_back(text.substr(begin, end - begin));
    begin = end;
  }
  return found;
}

inline std::vector<std::string> lines(std::string_view text) { return pieces(text, "\r\n"); }

inline std::vector<std::string> words(std::string_view text) { return pieces(text, " \t\r\n\v\f"); }

}  // namespace groundspeed
