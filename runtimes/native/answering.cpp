#include "answering.h"

#include <memory>

#include "conditions.h"
#include "errors.h"
#include "feeds.h"
#include "measure.h"
#include "npz.h"
#include "session.h"
#include "timing.h"

namespace groundspeed {
namespace {

constexpr double kTellEverySeconds = 2.0;

// All inputs, one axis of samples before their shapes.
std::vector<NamedArray> stacked_inputs(const Job& job, const Session& session) {
  std::vector<TensorSpec> specs = session.inputs();
  for (TensorSpec& spec : specs) spec.shape.insert(spec.shape.begin(), job.min_samples);
  return checked(specs, read_npz(*job.inputs));
}

std::vector<NamedArray> one_of(const std::vector<NamedArray>& stacked, std::int64_t index) {
  std::vector<NamedArray> sample;
  for (const auto& [name, all] : stacked) {
    const auto size = static_cast<std::int64_t>(all.bytes.size()) / all.shape[0];
    const auto begin = all.bytes.begin() + index * size;
    const Shape shape(all.shape.begin() + 1, all.shape.end());
    sample.push_back({name, {all.dtype, shape, {begin, begin + size}}});
  }
  return sample;
}

void append(std::vector<NamedArray>& stacked, const std::vector<NamedArray>& outputs) {
  if (stacked.empty()) {
    for (const auto& [name, array] : outputs) {
      stacked.push_back({name, {array.dtype, array.shape, {}}});
      Shape& shape = stacked.back().array.shape;
      shape.insert(shape.begin(), 0);
    }
  }
  for (std::size_t index = 0; index < outputs.size(); ++index) {
    Array& all = stacked[index].array;
    const Array& one = outputs[index].array;
    if (Shape(all.shape.begin() + 1, all.shape.end()) != one.shape) {
      throw LaunchError("the output '" + outputs[index].name +
                        "' has another shape for another sample");
    }
    ++all.shape[0];
    all.bytes.insert(all.bytes.end(), one.bytes.begin(), one.bytes.end());
  }
}

}  // namespace

json::Object answer(const Job& job,
                    const std::function<void(const std::string&)>& report_progress) {
  check(job);
  if (!job.inputs || !job.outputs) {
    throw UsageError("to answer samples, the job must name the files of inputs and outputs");
  }
  restrict_to(job.options.cpus);
  const std::unique_ptr<Engine> engine = engine_of(job);
  report_progress("opening in " + job.runtime);
  const std::unique_ptr<Session> session = engine->open(job);
  const std::int64_t count = job.min_samples;
  const std::vector<NamedArray> inputs = stacked_inputs(job, *session);
  const std::string all = std::to_string(count) + " samples";
  report_progress("answering " + all);
  std::vector<NamedArray> outputs;
  std::int64_t told = clock_ns();
  for (std::int64_t index = 0; index < count; ++index) {
    session->bind(one_of(inputs, index));
    append(outputs, session->run());
    if (clock_ns() - told > nanoseconds(kTellEverySeconds)) {
      told = clock_ns();
      report_progress("answered " + std::to_string(index + 1) + " of " + all);
    }
  }
  write_npz(*job.outputs, outputs);
  return {
      {"samples", count},
      {"runtime_version", engine->version()},
      {"runtime_build", engine->build()},
      {"agent_version", GROUNDSPEED_VERSION},
      {"format_version", kFormatVersion},
  };
}

}  // namespace groundspeed
