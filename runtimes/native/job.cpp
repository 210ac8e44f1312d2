#include "job.h"

#include <stdexcept>

#include "errors.h"
#include "json.h"

namespace groundspeed {
namespace {

// A document is JSON, and no job. The message names the field.
struct NoJob : std::runtime_error {
  using std::runtime_error::runtime_error;
};

[[noreturn]] void fail(const std::string& where, const char* expected, const json::Value& found) {
  throw NoJob(where + ": " + expected + " expected, " + found.kind() + " found");
}

void read(const json::Value& from, const std::string& where, Options& into);
void read(const json::Value& from, const std::string& where, TensorSpec& into);

void read(const json::Value& from, const std::string& where, std::int64_t& into) {
  const auto* whole = from.as<std::int64_t>();
  if (whole == nullptr) fail(where, "int", from);
  into = *whole;
}

void read(const json::Value& from, const std::string& where, double& into) {
  const std::optional<double> number = from.number();
  if (!number) fail(where, "a number", from);
  into = *number;
}

void read(const json::Value& from, const std::string& where, std::string& into) {
  const auto* content = from.as<std::string>();
  if (content == nullptr) fail(where, "str", from);
  into = *content;
}

template <typename T>
void read(const json::Value& from, const std::string& where, std::optional<T>& into) {
  if (from.is_null()) return;
  read(from, where, into.emplace());
}

template <typename T>
void read(const json::Value& from, const std::string& where, std::vector<T>& into) {
  const auto* elements = from.as<json::Array>();
  if (elements == nullptr) fail(where, "list", from);
  for (const json::Value& element : *elements) {
    const std::string place = where + "[" + std::to_string(into.size()) + "]";
    read(element, place, into.emplace_back());
  }
}

void read(const json::Value& from, const std::string& where,
          std::map<std::string, std::string>& into) {
  if (from.is_null()) return;  // no files is what Python calls None
  const auto* members = from.as<json::Object>();
  if (members == nullptr) fail(where, "dict", from);
  for (const auto& [key, value] : *members) read(value, where + "." + key, into[key]);
}

// Reads a member into a field that keeps its default where there is no such member.
template <typename T>
void field(const json::Value& from, const std::string& where, const char* name, T& into) {
  if (const json::Value* value = from.find(name)) read(*value, where + "." + name, into);
}

template <typename T>
void required(const json::Value& from, const std::string& where, const char* name, T& into) {
  if (from.find(name) == nullptr) throw NoJob(where + ": the field '" + name + "' is missing");
  field(from, where, name, into);
}

void read(const json::Value& from, const std::string& where, Options& into) {
  if (from.as<json::Object>() == nullptr) fail(where, "dict", from);
  field(from, where, "threads", into.threads);
  field(from, where, "cpus", into.cpus);
  field(from, where, "precision", into.precision);
}

void read(const json::Value& from, const std::string& where, TensorSpec& into) {
  if (from.as<json::Object>() == nullptr) fail(where, "dict", from);
  required(from, where, "name", into.name);
  required(from, where, "shape", into.shape);
  required(from, where, "dtype", into.dtype);
}

Job job(const json::Value& from) {
  const std::string where = "Job";
  if (from.as<json::Object>() == nullptr) fail(where, "dict", from);
  Job job;
  required(from, where, "action", job.action);
  field(from, where, "runtime", job.runtime);
  field(from, where, "files", job.files);
  field(from, where, "options", job.options);
  field(from, where, "min_samples", job.min_samples);
  field(from, where, "max_samples", job.max_samples);
  field(from, where, "min_seconds", job.min_seconds);
  field(from, where, "max_warmup_seconds", job.max_warmup_seconds);
  field(from, where, "profile_runs", job.profile_runs);
  field(from, where, "specs", job.specs);
  field(from, where, "inputs", job.inputs);
  field(from, where, "outputs", job.outputs);
  field(from, where, "seed", job.seed);
  return job;
}

void check_version(const json::Value& document) {
  const json::Value* version = document.find("format_version");
  const auto* number = version == nullptr ? nullptr : version->as<std::int64_t>();
  if (number != nullptr && *number > kFormatVersion) {
    throw UsageError("the job has format version " + std::to_string(*number) +
                     ", this agent reads up to " + std::to_string(kFormatVersion) +
                     "; install the same Groundspeed on both machines");
  }
}

}  // namespace

Job read_job(std::string_view text) {
  try {
    const json::Value document = json::parse(text);
    check_version(document);
    return job(document);
  } catch (const std::runtime_error& problem) {
    if (dynamic_cast<const Error*>(&problem) != nullptr) throw;  // a later version
    throw UsageError(std::string("what came on standard input is no job (") + problem.what() + ")");
  }
}

}  // namespace groundspeed
