// What the agent is asked to do: groundspeed/measurement.py's Job, read from JSON.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "arrays.h"

namespace groundspeed {

constexpr std::int64_t kFormatVersion = 1;  // of Job and Launch, as in measurement.py

struct Options {
  std::int64_t threads = 1;
  std::vector<std::int64_t> cpus;
  std::string precision = "fp32";
};

struct Job {
  std::string action;
  std::string runtime;
  std::map<std::string, std::string> files;  // role -> path
  Options options;
  std::int64_t min_samples = 20;  // for "answer", how many sets of inputs there are
  std::int64_t max_samples = 1000;
  double min_seconds = 1.0;
  double max_warmup_seconds = 5.0;
  std::int64_t profile_runs = 100;
  std::vector<TensorSpec> specs;
  std::optional<std::string> inputs;
  std::optional<std::string> outputs;
  std::int64_t seed = 0;  // unused: seeded inputs are numpy's own, and come as `inputs`
};

// Raises UsageError: the text is no JSON, no job, or a job of a later version.
Job read_job(std::string_view text);

}  // namespace groundspeed
