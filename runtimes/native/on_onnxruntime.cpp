// ONNX Runtime on the CPU, through the C interface of its library; see runtimes/on_onnxruntime.py.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <memory>
#include <optional>

#include "errors.h"
#include "feeds.h"
#include "files.h"
#include "onnx_wire.h"
#include "onnxruntime_api.h"
#include "onnxruntime_trace.h"
#include "session.h"
#include "shared_library.h"
#include "statistics.h"
#include "timing.h"

namespace groundspeed {
namespace {

constexpr const char* kCheapOp = "Neg";
constexpr int kChain = 100;
constexpr std::int64_t kChainRuns = 30;

// numpy's names of ONNXTensorElementDataType.
const std::map<int, std::string> kDtypes = {
    {1, "float32"}, {2, "uint8"}, {3, "int8"}, {4, "uint16"},   {5, "int16"},
    {6, "int32"},   {7, "int64"}, {9, "bool"}, {10, "float16"}, {11, "float64"}};

int element_type(const std::string& dtype) {
  for (const auto& [element, name] : kDtypes) {
    if (name == dtype) return element;
  }
  throw InputError("ONNX Runtime takes no " + dtype);
}

// The table of functions, and what all sessions share.
class Api {
 public:
  Api() {
    const ort::ApiBase* (*get_base)() = nullptr;
    SharedLibrary("libonnxruntime.so", "onnxruntime 1.20 and later")
        .find("OrtGetApiBase", get_base);
    version = get_base()->GetVersionString();
    functions_ = get_base()->GetApi(ort::kApiVersion);
    if (functions_ == nullptr) {
      throw MissingExtra("onnxruntime " + version + " is too old; this agent knows 1.20 and later");
    }
    check(call(ort::kCreateEnv, ort::kLogErrors, "groundspeed", &environment));
    check(call(ort::kGetAllocatorWithDefaultOptions, &allocator));
    check(call(ort::kCreateCpuMemoryInfo, ort::kArena, ort::kDefaultMemory, &memory));
  }
  ~Api() {
    call(ort::kReleaseMemoryInfo, memory);
    call(ort::kReleaseEnv, environment);
  }
  Api(const Api&) = delete;
  Api& operator=(const Api&) = delete;

  template <typename Result, typename... Parameters, typename... Arguments>
  Result call(ort::Entry<Result(Parameters...)> entry, Arguments... arguments) const {
    auto* function =
        reinterpret_cast<Result (*)(Parameters...)>(const_cast<void*>(functions_[entry.place]));
    return function(arguments...);
  }

  // The first line of what an engine's status says, "" for success. Releases the status.
  std::string problem(ort::Status* status) const {
    if (status == nullptr) return "";
    const std::string message = call(ort::kGetErrorMessage, status);
    call(ort::kReleaseStatus, status);
    return message.substr(0, message.find('\n'));
  }

  // Raises LaunchError for what should not fail.
  void check(ort::Status* status) const {
    if (const std::string what = problem(status); !what.empty()) {
      throw LaunchError("ONNX Runtime failed (" + what + ")");
    }
  }

  // Text that the engine allocated, which is given back.
  std::string taken(char* text) const {
    const std::string copy = text;
    check(call(ort::kAllocatorFree, allocator, text));
    return copy;
  }

  template <typename T>
  std::shared_ptr<T> owned(T* handle, ort::Entry<void(T*)> release) const {
    return {handle, [this, release](T* old) { call(release, old); }};
  }

  std::string version;
  ort::Environment* environment = nullptr;
  ort::Allocator* allocator = nullptr;
  ort::MemoryInfo* memory = nullptr;

 private:
  const void* const* functions_ = nullptr;
};

std::shared_ptr<ort::Options> session_options(const Api& api, std::int64_t threads) {
  ort::Options* made = nullptr;
  api.check(api.call(ort::kCreateSessionOptions, &made));
  auto options = api.owned(made, ort::kReleaseSessionOptions);
  api.check(api.call(ort::kSetIntraOpNumThreads, made, static_cast<int>(threads)));
  api.check(api.call(ort::kSetInterOpNumThreads, made, 1));
  api.check(api.call(ort::kSetSessionExecutionMode, made, ort::kSequential));
  // Errors only: a warning for every optimized model is noise.
  api.check(api.call(ort::kSetSessionLogSeverityLevel, made, ort::kLogErrors));
  return options;
}

// Options of sessions that take turns; the Python file says why their threads must not spin.
std::shared_ptr<ort::Options> resting_options(const Api& api, std::int64_t threads) {
  auto options = session_options(api, threads);
  api.check(api.call(ort::kAddSessionConfigEntry, options.get(), "session.force_spinning_stop", "1"));
  return options;
}

// An open model with its inputs and outputs bound: they stay where they are.
class Network {
 public:
  Network(const Api& api, const std::string& path, const ort::Options* options) : api_(api) {
    ort::Session* made = nullptr;
    const std::string problem =
        api.problem(api.call(ort::kCreateSession, api.environment, path.c_str(), options, &made));
    if (!problem.empty()) {
      throw ArtifactError(path + " cannot be opened by ONNX Runtime (" + problem +
                          "); it may be cut short, or no ONNX file: export it again");
    }
    session_ = api.owned(made, ort::kReleaseSession);
    describe(path);
  }

  static Network from_bytes(const Api& api, const std::string& model, const ort::Options* options) {
    ort::Session* made = nullptr;
    api.check(api.call(ort::kCreateSessionFromArray, api.environment, model.data(), model.size(),
                       options, &made));
    return Network(api, api.owned(made, ort::kReleaseSession));
  }

  const std::vector<TensorSpec>& inputs() const { return inputs_; }

  void bind(const std::vector<NamedArray>& feeds) {
    ort::Binding* made = nullptr;
    api_.check(api_.call(ort::kCreateIoBinding, session_.get(), &made));
    binding_ = api_.owned(made, ort::kReleaseIoBinding);
    feeds_ = feeds;
    values_.clear();
    for (NamedArray& feed : feeds_) {
      Array& array = feed.array;
      ort::Value* value = nullptr;
      api_.check(api_.call(ort::kCreateTensorWithDataAsOrtValue, api_.memory, array.bytes.data(),
                           array.bytes.size(), array.shape.data(), array.shape.size(),
                           element_type(array.dtype), &value));
      values_.push_back(api_.owned(value, ort::kReleaseValue));
      api_.check(api_.call(ort::kBindInput, made, feed.name.c_str(), value));
    }
    for (const TensorSpec& output : outputs_) {
      api_.check(api_.call(ort::kBindOutputToDevice, made, output.name.c_str(), api_.memory));
    }
  }

  void infer() const {
    api_.check(api_.call(ort::kRunWithBinding, session_.get(), nullptr, binding_.get()));
  }

  std::vector<NamedArray> outputs() const {
    ort::Value** values = nullptr;
    std::size_t size = 0;
    api_.check(
        api_.call(ort::kGetBoundOutputValues, binding_.get(), api_.allocator, &values, &size));
    std::vector<NamedArray> read;
    for (std::size_t index = 0; index < size; ++index) {
      const auto value = api_.owned(values[index], ort::kReleaseValue);
      const TensorSpec& spec = outputs_.at(index);
      void* data = nullptr;
      api_.check(api_.call(ort::kGetTensorMutableData, value.get(), &data));
      const auto* begin = static_cast<const unsigned char*>(data);
      const std::size_t bytes = static_cast<std::size_t>(count(spec.shape)) * item_size(spec.dtype);
      read.push_back({spec.name, {spec.dtype, spec.shape, {begin, begin + bytes}}});
    }
    api_.check(api_.call(ort::kAllocatorFree, api_.allocator, values));
    return read;
  }

  // Ends profiling and returns the path of the trace.
  std::string end_profiling() const {
    char* path = nullptr;
    api_.check(api_.call(ort::kSessionEndProfiling, session_.get(), api_.allocator, &path));
    return api_.taken(path);
  }

 private:
  Network(const Api& api, std::shared_ptr<ort::Session> session)
      : api_(api), session_(std::move(session)) {
    describe("a chain of ops");
  }

  void describe(const std::string& path) {
    inputs_ = specs(path, ort::kSessionGetInputCount, ort::kSessionGetInputName,
                    ort::kSessionGetInputTypeInfo);
    outputs_ = specs(path, ort::kSessionGetOutputCount, ort::kSessionGetOutputName,
                     ort::kSessionGetOutputTypeInfo);
  }

  template <typename Count, typename Name, typename Type>
  std::vector<TensorSpec> specs(const std::string& path, Count count, Name name, Type type) const {
    std::size_t size = 0;
    api_.check(api_.call(count, session_.get(), &size));
    std::vector<TensorSpec> made;
    for (std::size_t index = 0; index < size; ++index) {
      char* text = nullptr;
      ort::TypeInfo* info = nullptr;
      api_.check(api_.call(name, session_.get(), index, api_.allocator, &text));
      api_.check(api_.call(type, session_.get(), index, &info));
      made.push_back(spec(path, api_.taken(text), *api_.owned(info, ort::kReleaseTypeInfo)));
    }
    return made;
  }

  TensorSpec spec(const std::string& path, const std::string& name,
                  const ort::TypeInfo& info) const {
    const ort::TensorInfo* tensor = nullptr;
    int element = 0;
    api_.check(api_.call(ort::kCastTypeInfoToTensorInfo, &info, &tensor));
    if (tensor != nullptr) api_.check(api_.call(ort::kGetTensorElementType, tensor, &element));
    const auto known = kDtypes.find(element);
    if (known == kDtypes.end()) {
      throw ArtifactError(path + ": '" + name + "' is of a type that cannot be measured");
    }
    std::size_t rank = 0;
    api_.check(api_.call(ort::kGetDimensionsCount, tensor, &rank));
    TensorSpec spec{name, Shape(rank), known->second};
    api_.check(api_.call(ort::kGetDimensions, tensor, spec.shape.data(), rank));
    if (std::any_of(spec.shape.begin(), spec.shape.end(), [](auto size) { return size < 0; })) {
      throw ArtifactError(path + ": '" + name +
                          "' leaves a dimension open; export it with fixed shapes, since a latency "
                          "belongs to one shape");
    }
    return spec;
  }

  const Api& api_;
  std::shared_ptr<ort::Session> session_;
  std::shared_ptr<ort::Binding> binding_;
  std::vector<NamedArray> feeds_;  // the values below borrow their memory
  std::vector<std::shared_ptr<ort::Value>> values_;
  std::vector<TensorSpec> inputs_, outputs_;
};

class OnnxSession : public Session {
 public:
  OnnxSession(const Api& api, const Job& job)
      : api_(api),
        path_(file_of(job.files, "model")),
        threads_(job.options.threads),
        network_(api, path_, session_options(api, threads_).get()) {}

  const std::vector<TensorSpec>& inputs() const override { return network_.inputs(); }

  void bind(const std::vector<NamedArray>& feeds) override {
    network_.bind(feeds);
    feeds_ = feeds;
  }

  void infer() override { network_.infer(); }

  std::vector<NamedArray> run() override {
    network_.infer();
    return network_.outputs();
  }

  OpProfile profile(std::int64_t runs) override {
    const double share = share_inside_kernels();
    const TemporaryFolder folder;
    const std::string optimized = folder.path() + "/optimized.onnx";
    std::optional<Network> resting;
    if (threads_ > 1) {
      resting.emplace(api_, path_, resting_options(api_, threads_).get());
      resting->bind(feeds_);
    }
    const auto options = resting_options(api_, threads_);
    api_.check(api_.call(ort::kSetOptimizedModelFilePath, options.get(), optimized.c_str()));
    record_to(options.get(), folder);
    Network profiled(api_, path_, options.get());
    profiled.bind(feeds_);
    const auto [trace, times] = traced(resting ? *resting : network_, profiled, runs);

    OpProfile profile;
    profile.ops =
        traced_ops(trace, onnx_nodes(content_of(optimized)), onnx_nodes(content_of(path_)));
    profile.times_ns = trace.times_ns;
    profile.profiled_ns = times.profiled_ns;
    profile.plain_ns = times.plain_ns;
    const auto kernels = static_cast<double>(trace.kernels.size());
    profile.timing_cost_ns = std::llround(share * times.profilers_cost_ns() / kernels);
    for (Durations& durations : profile.times_ns) {
      for (std::int64_t& time : durations) {
        time = std::max<std::int64_t>(0, time - profile.timing_cost_ns);
      }
    }
    return profile;
  }

 private:
  struct Traced {
    Trace trace;
    Times times;
  };

  void record_to(ort::Options* options, const TemporaryFolder& folder) const {
    const std::string prefix = folder.path() + "/trace";
    api_.check(api_.call(ort::kEnableProfiling, options, prefix.c_str()));
  }

  static Traced traced(const Network& plain, const Network& profiled, std::int64_t runs) {
    const Times times = interleaved([&] { plain.infer(); }, [&] { profiled.infer(); }, runs);
    return {read_trace(content_of(profiled.end_profiling()), times.counted), times};
  }

  // Which share of the profiler's cost it charges to the kernels themselves, 0 to 1: measured on a
  // chain of ops that compute next to nothing, as the Python file explains.
  double share_inside_kernels() const {
    const TemporaryFolder folder;
    const std::string model = onnx_chain(kCheapOp, kChain);
    const auto options = resting_options(api_, threads_);
    api_.check(
        api_.call(ort::kSetSessionGraphOptimizationLevel, options.get(), ort::kNoOptimization));
    const std::vector<NamedArray> feeds = {{"0", {"float32", {1}, {0, 0, 0x80, 0x3F}}}};  // 1.0
    Network plain = Network::from_bytes(api_, model, options.get());
    plain.bind(feeds);
    record_to(options.get(), folder);
    Network profiled = Network::from_bytes(api_, model, options.get());
    profiled.bind(feeds);
    const auto [trace, times] = traced(plain, profiled, kChainRuns);
    if (times.profilers_cost_ns() == 0) return 0;
    Durations seen(times.counted.size());
    for (const Durations& durations : trace.times_ns) {
      for (std::size_t run = 0; run < durations.size(); ++run) seen[run] += durations[run];
    }
    const double inside_ns = median(seen) - median(times.plain_ns);
    return std::clamp(inside_ns / times.profilers_cost_ns(), 0.0, 1.0);
  }

  const Api& api_;
  std::string path_;
  std::int64_t threads_;
  Network network_;
  std::vector<NamedArray> feeds_;
};

class OnnxRuntime : public Engine {
 public:
  std::string version() const override { return api_.version; }
  std::string build() const override { return api_.call(ort::kGetBuildInfoString); }
  std::unique_ptr<Session> open(const Job& job) override {
    return std::make_unique<OnnxSession>(api_, job);
  }

 private:
  Api api_;
};

}  // namespace

const char* const kRuntime = "onnxruntime";

std::unique_ptr<Engine> load_engine() { return std::make_unique<OnnxRuntime>(); }

}  // namespace groundspeed
