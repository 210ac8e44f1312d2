#include "ncnn_param.h"

#include <cstdlib>

#include "errors.h"
#include "text.h"

namespace groundspeed {
namespace {

constexpr std::string_view kMagic = "7767517";

using Words = std::vector<std::string>;

// A count, or -1 for what is none.
long counted(const Words& words, std::size_t index) {
  if (index >= words.size()) return -1;
  char* end = nullptr;
  const long number = std::strtol(words[index].c_str(), &end, 10);
  return *end == '\0' && number >= 0 && number <= 1000000 ? number : -1;
}

}  // namespace

std::int64_t NcnnLayer::integer(int key) const {
  const std::string prefix = std::to_string(key) + "=";
  for (const std::string& parameter : parameters) {
    if (parameter.compare(0, prefix.size(), prefix) == 0) {
      return std::strtoll(parameter.c_str() + prefix.size(), nullptr, 10);
    }
  }
  return 0;
}

std::vector<NcnnLayer> parse_param(std::string_view text, const std::string& path) {
  const auto fail = [&](const std::string& what) {
    throw ArtifactError(path + " is no ncnn .param file: " + what + "; export it again");
  };
  std::vector<Words> rows;
  for (const std::string& line : lines(text)) {
    if (Words found = words(line); !found.empty()) rows.push_back(std::move(found));
  }
  if (rows.empty() || rows[0] != Words{std::string(kMagic)}) fail("it does not begin with 7767517");
  if (rows.size() == 1) fail("it ends after its first line");
  const long announced = counted(rows[1], 0);
  if (announced != static_cast<long>(rows.size()) - 2) {
    fail("it announces " + rows[1][0] + " layers and lists " + std::to_string(rows.size() - 2));
  }
  std::vector<NcnnLayer> layers;
  for (std::size_t index = 2; index < rows.size(); ++index) {
    const Words& line = rows[index];
    const long takes = counted(line, 2), gives = counted(line, 3);
    if (takes < 0 || gives < 0) fail("the line of '" + line[0] + "' describes no layer");
    if (static_cast<long>(line.size()) < 4 + takes + gives) {
      fail("the line of '" + line[1] + "' names too few blobs");
    }
    const auto bottoms = line.begin() + 4, tops = bottoms + takes, rest = tops + gives;
    layers.push_back({line[0], line[1], {bottoms, tops}, {tops, rest}, {rest, line.end()}});
  }
  return layers;
}

}  // namespace groundspeed
