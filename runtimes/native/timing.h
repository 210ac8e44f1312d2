// Timed calls: inferences that are not counted, and runs of two kinds by turns.
//
// runtimes/warmup.py and runtimes/interleave.py say why it is done so; the rules are theirs.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <vector>

#include "session.h"

namespace groundspeed {

using Call = std::function<void()>;

// Nanoseconds of a clock that only goes forward.
inline std::int64_t clock_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

inline std::int64_t nanoseconds(double seconds) { return static_cast<std::int64_t>(seconds * 1e9); }

struct Warmup {
  Durations samples_ns;
  bool steady = false;
};

// Whether the last three windows of samples stopped getting faster.
bool is_steady(const Durations& samples_ns);

// Calls until is_steady or until the time is over, at least once.
Warmup warm_up(Session& session, double max_seconds);

// End-to-end durations of profiled and plain runs, as many of each kind.
struct Times {
  Durations profiled_ns;
  Durations plain_ns;
  std::vector<std::size_t>
      counted;  // which profiled calls count, by index among all that were made

  // What profiling adds to a run, at least 0.
  double profilers_cost_ns() const;
};

// Runs both by turns, in short blocks whose first runs do not count, until `runs` of each are
// counted.
Times interleaved(const Call& plain, const Call& profiled, std::int64_t runs);

}  // namespace groundspeed
