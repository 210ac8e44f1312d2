#include "measure.h"

#include <algorithm>
#include <memory>
#include <optional>

#include "conditions.h"
#include "errors.h"
#include "feeds.h"
#include "npz.h"
#include "session.h"
#include "statistics.h"
#include "timing.h"

namespace groundspeed {
namespace {

constexpr double kProfileSeconds = 10.0;
constexpr std::int64_t kLeastProfiledRuns = 20;
constexpr double kLookEverySeconds = 1.0;
constexpr std::int64_t kInferencesALook =
    20;  // what a look costs is at most this share of the time
constexpr std::int64_t kReserved = 1 << 20;
const std::vector<std::string> kActions = {"measure", "profile", "answer"};
const std::vector<std::string> kPrecisions = {
    "fp32", "fp16", "int8", "int8_dynamic", "int8_weight_only", "auto"};

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const std::string& word : words) out += (out.empty() ? "" : ", ") + word;
  return out;
}

bool known(const std::vector<std::string>& words, const std::string& word) {
  return std::find(words.begin(), words.end(), word) != words.end();
}

std::vector<NamedArray> feeds(const Job& job, const Session& session) {
  // Python's seeded numbers are numpy's own; the host makes them, and sends them along.
  if (!job.inputs) throw InputError("the native agent makes no inputs; name an .npz file of them");
  return checked(session.inputs(), read_npz(*job.inputs));
}

struct Samples {
  Durations taken_ns;
  json::Array looks;  // conditions in the midst of them
};

// Nothing happens between two samples but an append that does not allocate. About once a second the
// machine is looked at; the inference that follows such a look brings the caches back and is not
// counted.
Samples sample(Session& session, const Job& job) {
  Samples samples;
  Durations& taken = samples.taken_ns;
  taken.reserve(static_cast<std::size_t>(std::min<std::int64_t>(job.max_samples, kReserved)));
  const auto count = [&] { return static_cast<std::int64_t>(taken.size()); };
  std::int64_t now = clock_ns(), last_look = now, every_ns = nanoseconds(kLookEverySeconds);
  const std::int64_t end = now + nanoseconds(job.min_seconds);
  while (count() < job.max_samples && (count() < job.min_samples || now < end)) {
    const std::int64_t begin = clock_ns();
    session.infer();
    now = clock_ns();
    taken.push_back(now - begin);
    if (now - last_look > every_ns) {
      samples.looks.push_back(read_conditions());
      session.infer();
      last_look = clock_ns();
      every_ns = std::max(every_ns, kInferencesALook * taken.back());
    }
  }
  return samples;
}

void check_finite(const std::vector<NamedArray>& outputs) {
  for (const NamedArray& output : outputs) {
    if (!is_finite(output.array)) {
      throw NonFiniteOutput("the output '" + output.name +
                            "' holds NaN or infinity, so its latency would describe nothing "
                            "useful; check the inputs, the weights, and fp16's range");
    }
  }
}

// Fewer than asked of a network that takes long: every profiled run has a plain one beside it, and
// some of each do not count.
std::int64_t profiled_runs(std::int64_t asked, const Durations& samples_ns) {
  const double affordable = kProfileSeconds * 1e9 / (4 * median(samples_ns));
  return std::min(asked, std::max(kLeastProfiledRuns, static_cast<std::int64_t>(affordable)));
}

json::Object plain(const Options& options) {
  return {{"threads", options.threads},
          {"cpus", json::Value::list(options.cpus)},
          {"precision", options.precision}};
}

json::Value plain(const OpProfile& profile) {
  json::Array ops, times;
  for (const ProfiledOp& op : profile.ops) {
    ops.push_back(json::Object{{"name", op.name},
                               {"type", op.type},
                               {"outputs", json::Value::list(op.outputs)},
                               {"inserted", op.inserted},
                               {"reads", json::Value::list(op.reads)},
                               {"stage", op.stage}});
  }
  for (const Durations& durations : profile.times_ns) {
    times.push_back(json::Value::list(durations));
  }
  return json::Object{{"ops", ops},
                      {"times_ns", times},
                      {"profiled_ns", json::Value::list(profile.profiled_ns)},
                      {"plain_ns", json::Value::list(profile.plain_ns)},
                      {"timing_cost_ns", profile.timing_cost_ns}};
}

}  // namespace

void check(const Job& job) {
  if (!known(kActions, job.action)) {
    throw UsageError("there is no action '" + job.action + "'; known: " + joined(kActions));
  }
  if (job.options.threads < 1) {
    throw UsageError(std::to_string(job.options.threads) +
                     " threads cannot run anything; ask for 1 or more");
  }
  if (!known(kPrecisions, job.options.precision)) {
    throw UsageError("there is no precision '" + job.options.precision +
                     "'; known: " + joined(kPrecisions));
  }
  if (job.min_samples < 1 || job.min_samples > job.max_samples) {
    throw UsageError("between " + std::to_string(job.min_samples) + " and " +
                     std::to_string(job.max_samples) +
                     " samples were asked for; ask for at least 1, and for no fewer at most than "
                     "at least");
  }
  if (job.action == "profile" && job.profile_runs < 1) {
    throw UsageError("a profile needs at least 1 run");
  }
}

std::unique_ptr<Engine> engine_of(const Job& job) {
  if (job.runtime != kRuntime) {
    throw UnknownName("this agent was built for " + std::string(kRuntime) +
                      " and does not know the runtime '" + job.runtime + "'");
  }
  return load_engine();
}

json::Object launch(const Job& job,
                    const std::function<void(const std::string&)>& report_progress) {
  check(job);
  const std::vector<std::int64_t> granted = restrict_to(job.options.cpus);
  const std::unique_ptr<Engine> engine = engine_of(job);
  const auto baseline = memory_bytes("VmRSS");
  report_progress("opening in " + job.runtime);
  std::int64_t begin = clock_ns();
  const std::unique_ptr<Session> session = engine->open(job);
  const std::int64_t load_ns = clock_ns() - begin;
  session->bind(feeds(job, *session));
  begin = clock_ns();
  session->infer();
  const std::int64_t first_run_ns = clock_ns() - begin;
  report_progress("warming up");
  const Warmup warmup = warm_up(*session, job.max_warmup_seconds);
  report_progress("sampling");
  const json::Object before = read_conditions();
  const Samples samples = sample(*session, job);
  const json::Object after = read_conditions();
  // The peak is the network's own: profilers and saved outputs come after it.
  const auto peak = memory_bytes("VmHWM");
  const std::vector<NamedArray> outputs = session->run();
  check_finite(outputs);
  if (job.outputs) write_npz(*job.outputs, outputs);
  json::Value profile;
  if (job.action == "profile") {
    const std::int64_t runs = profiled_runs(job.profile_runs, samples.taken_ns);
    report_progress("profiling " + std::to_string(runs) + " runs");
    profile = plain(session->profile(runs));
  }
  return {
      {"runtime", job.runtime},
      {"runtime_version", engine->version()},
      {"runtime_build", engine->build()},
      {"options", plain(job.options)},
      {"cpus_granted", json::Value::list(granted)},
      {"load_ns", load_ns},
      {"first_run_ns", first_run_ns},
      {"warmup_ns", json::Value::list(warmup.samples_ns)},
      {"steady", warmup.steady},
      {"samples_ns", json::Value::list(samples.taken_ns)},
      {"peak_memory_bytes", peak},
      {"baseline_memory_bytes", baseline},
      {"machine", read_machine()},
      {"before", before},
      {"after", after},
      {"during", samples.looks},
      {"profile", profile},
      {"agent_version", GROUNDSPEED_VERSION},
      {"format_version", kFormatVersion},
  };
}

}  // namespace groundspeed
