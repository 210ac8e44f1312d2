#include "timing.h"

#include <algorithm>
#include <cmath>

#include "statistics.h"

namespace groundspeed {
namespace {

constexpr std::size_t kWindow = 5;
constexpr double kTolerance = 0.02;
constexpr std::int64_t kWarmupRuns = 3, kBlock = 5;

// The interquartile range of one window, as Python's statistics.quantiles computes it.
double spread(Durations window) {
  static_assert(kWindow == 5, "the quartiles lie half-way between these");
  std::sort(window.begin(), window.end());
  return static_cast<double>(window[3] + window[4] - window[0] - window[1]) / 2;
}

void block(const Call& call, std::int64_t size, Durations& durations) {
  for (std::int64_t run = 0; run < kWarmupRuns; ++run) call();
  for (std::int64_t run = 0; run < size; ++run) {
    const std::int64_t begin = clock_ns();
    call();
    durations.push_back(clock_ns() - begin);
  }
}

}  // namespace

bool is_steady(const Durations& samples_ns) {
  if (samples_ns.size() < 3 * kWindow) return false;
  const auto window = [&](std::size_t from_the_end) {
    const auto end = samples_ns.end() - static_cast<std::ptrdiff_t>(from_the_end * kWindow);
    return Durations(end - kWindow, end);
  };
  const double last = median(window(0)), fastest = std::min(median(window(1)), median(window(2)));
  return std::abs(last - fastest) <= std::max(kTolerance * last, spread(window(0)));
}

Warmup warm_up(Session& session, double max_seconds) {
  Warmup warmup;
  const std::int64_t end = clock_ns() + nanoseconds(max_seconds);
  while (!warmup.steady) {
    const std::int64_t begin = clock_ns();
    session.infer();
    const std::int64_t now = clock_ns();
    warmup.samples_ns.push_back(now - begin);
    warmup.steady = is_steady(warmup.samples_ns);
    if (now >= end) break;
  }
  return warmup;
}

double Times::profilers_cost_ns() const {
  return std::max(0.0, median(profiled_ns) - median(plain_ns));
}

Times interleaved(const Call& plain, const Call& profiled, std::int64_t runs) {
  Times times;
  std::size_t calls = 0;
  for (std::int64_t left = runs; left > 0; left -= kBlock) {
    const std::int64_t size = std::min(kBlock, left);
    block(plain, size, times.plain_ns);
    block(profiled, size, times.profiled_ns);
    calls += kWarmupRuns;
    for (std::int64_t run = 0; run < size; ++run) times.counted.push_back(calls++);
  }
  return times;
}

}  // namespace groundspeed
