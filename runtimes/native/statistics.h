// Order statistics of durations.
#pragma once

#include <algorithm>
#include <cstdint>
#include <vector>

namespace groundspeed {

// The middle one, or the mean of the two in the middle. There must be one at least.
inline double median(std::vector<std::int64_t> values) {
  const std::size_t middle = values.size() / 2;
  std::sort(values.begin(), values.end());
  const auto upper = static_cast<double>(values[middle]);
  return values.size() % 2 == 1 ? upper : (static_cast<double>(values[middle - 1]) + upper) / 2;
}

}  // namespace groundspeed
