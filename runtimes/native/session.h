// What every runtime implements, one file each: runtimes/session.py in C++.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "arrays.h"
#include "data_flow.h"
#include "job.h"

namespace groundspeed {

// One op as the runtime executed it; see measurement.py's ProfiledOp.
struct ProfiledOp {
  std::string name;
  std::string type;
  std::vector<std::string> outputs;
  bool inserted = false;
  Positions reads = {};
  bool stage = false;
};

using Durations = std::vector<std::int64_t>;  // nanoseconds

// Per-op times of several runs; see measurement.py's OpProfile.
struct OpProfile {
  std::vector<ProfiledOp> ops;
  std::vector<Durations> times_ns;  // for each op, its duration in each profiled run
  Durations profiled_ns;
  Durations plain_ns;
  std::int64_t timing_cost_ns = 0;
};

// An artifact that is open and can run.
class Session {
 public:
  virtual ~Session() = default;

  // What it takes, in order.
  virtual const std::vector<TensorSpec>& inputs() const = 0;
  // Copies inputs, which fit, to where the runtime reads them: for all that follows.
  virtual void bind(const std::vector<NamedArray>& feeds) = 0;
  // Does one inference, with nothing else in it.
  virtual void infer() = 0;
  // Computes the outputs, copied out of the runtime's memory.
  virtual std::vector<NamedArray> run() = 0;
  // Times every op in `runs` runs, interleaved with as many unprofiled ones.
  virtual OpProfile profile(std::int64_t runs) = 0;
};

// The engine that this agent was built for. Each on_*.cpp defines it.
class Engine {
 public:
  virtual ~Engine() = default;

  virtual std::string version() const = 0;
  // What else tells builds of one version apart.
  virtual std::string build() const = 0;
  // Raises ArtifactError: a file is missing, cut short, or none of this runtime's.
  virtual std::unique_ptr<Session> open(const Job& job) = 0;
};

// Name of the engine, without loading it.
extern const char* const kRuntime;

// Raises MissingExtra: the engine's library cannot be loaded.
std::unique_ptr<Engine> load_engine();

}  // namespace groundspeed
