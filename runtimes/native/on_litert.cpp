// LiteRT on the CPU, through the C interface of its shared library; see runtimes/on_litert.py.
#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "errors.h"
#include "feeds.h"
#include "litert_alignment.h"
#include "litert_library.h"
#include "session.h"
#include "tflite_file.h"
#include "timing.h"

namespace groundspeed {
namespace {

using litert::Event;
using litert::Handle;
using litert::Library;
using Events = std::vector<Event>;

constexpr int kCpu = 1, kRead = 0, kWrite = 1;
constexpr std::int32_t kStage = 1, kKernel = 2, kDelegated = 8, kTelemetry = 32;
const std::set<std::int32_t> kKnownTypes = {kStage, kKernel, 4, kDelegated, 16, kTelemetry};
const std::string kWholeRun = "Invoke";

void check(litert::Status status, const char* what) {
  if (status != 0) {
    throw LaunchError(std::string("LiteRT failed (") + what + " gave status " +
                      std::to_string(status) + "); this agent knows ai-edge-litert 2.2 and 2.3");
  }
}

// Something of LiteRT's that is destroyed with this.
class Owned {
 public:
  explicit Owned(litert::Destructor destroy) : destroy_(destroy) {}
  Owned(Owned&& other) noexcept
      : handle_(std::exchange(other.handle_, nullptr)), destroy_(other.destroy_) {}
  Owned& operator=(Owned&&) = delete;
  ~Owned() {
    if (handle_ != nullptr) destroy_(handle_);
  }

  Handle get() const { return handle_; }
  // Where a function puts the handle that it makes.
  Handle* place() { return &handle_; }

 private:
  Handle handle_ = nullptr;
  litert::Destructor destroy_;
};

// numpy's names of LiteRtElementType, "" for what no network that can be measured takes.
std::string dtype(std::int32_t element) {
  static const std::map<std::int32_t, const char*> kNames = {
      {1, "float32"},  {2, "int32"},   {3, "uint8"},   {4, "int64"},
      {6, "bool"},     {7, "int16"},   {9, "int8"},    {10, "float16"},
      {11, "float64"}, {13, "uint64"}, {16, "uint32"}, {17, "uint16"}};
  const auto found = kNames.find(element);
  return found == kNames.end() ? "" : found->second;
}

TensorSpec spec_of(const char* name, const litert::TensorType& type, const std::string& path) {
  TensorSpec spec{name, {}, dtype(type.element)};
  for (std::uint32_t axis = 0; axis < (type.layout.bits & 0x7F) && axis < 8; ++axis) {
    spec.shape.push_back(type.layout.dimensions[axis]);
    if (spec.shape.back() < 1) {
      throw ArtifactError("'" + spec.name +
                          "' has an open dimension; export it with fixed shapes, "
                          "since a latency belongs to one shape");
    }
  }
  if (spec.dtype.empty()) {
    throw ArtifactError(path + ": '" + spec.name + "' is of a type that cannot be measured");
  }
  return spec;
}

// A file, compiled to run, with buffers for its inputs and outputs.
class Compiled {
 public:
  // With `profiling`, times of operators can be recorded: a profiler is compiled in, or not there.
  Compiled(const Library& library, const std::string& path, std::int64_t threads, bool profiling)
      : library_(library),
        path_(path),
        cpu_text_("num_threads = " + std::to_string(threads) + "\n"),
        environment_(library.DestroyEnvironment),
        model_(library.DestroyModel),
        options_(library.DestroyOptions),
        compiled_(library.DestroyCompiledModel) {
    check(library.CreateEnvironment(0, nullptr, environment_.place()), "CreateEnvironment");
    if (library.CreateModelFromFile(environment_.get(), path.c_str(), model_.place()) != 0) fail();
    check(library.CreateOptions(options_.place()), "CreateOptions");
    check(library.SetOptionsHardwareAccelerators(options_.get(), kCpu), "SetOptions");
    add_option("xnnpack", cpu_text_);
    if (profiling) add_option("runtime_options_string", profiling_text_);
    if (library.CreateCompiledModel(environment_.get(), model_.get(), options_.get(),
                                    compiled_.place()) != 0) {
      fail();
    }
    make_buffers();
    if (profiling) {
      check(library.CompiledModelGetProfiler(compiled_.get(), &profiler_), "GetProfiler");
    }
  }

  const std::vector<TensorSpec>& inputs() const { return inputs_; }

  void bind(const std::vector<NamedArray>& feeds) {
    for (std::size_t index = 0; index < feeds.size(); ++index) {
      const auto& bytes = feeds[index].array.bytes;
      void* place = nullptr;
      check(library_.LockTensorBuffer(in_[index], &place, kWrite), "LockTensorBuffer");
      std::memcpy(place, bytes.data(), bytes.size());
      check(library_.UnlockTensorBuffer(in_[index]), "UnlockTensorBuffer");
    }
  }

  void infer() {
    check(library_.RunCompiledModel(compiled_.get(), 0, in_.size(), in_.data(), out_.size(),
                                    out_.data()),
          "RunCompiledModel");
  }

  std::vector<NamedArray> outputs() const {
    std::vector<NamedArray> values;
    for (std::size_t index = 0; index < outputs_.size(); ++index) {
      const TensorSpec& spec = outputs_[index];
      void* place = nullptr;
      check(library_.LockTensorBuffer(out_[index], &place, kRead), "LockTensorBuffer");
      const auto* begin = static_cast<const unsigned char*>(place);
      const std::size_t size = static_cast<std::size_t>(count(spec.shape)) * item_size(spec.dtype);
      values.push_back({spec.name, {spec.dtype, spec.shape, {begin, begin + size}}});
      check(library_.UnlockTensorBuffer(out_[index]), "UnlockTensorBuffer");
    }
    return values;
  }

  // Does one inference and returns its events; their names can be read until the next one.
  Events record() {
    check(library_.ResetProfiler(profiler_), "ResetProfiler");
    check(library_.StartProfiler(profiler_), "StartProfiler");
    infer();
    check(library_.StopProfiler(profiler_), "StopProfiler");
    int count = 0;
    check(library_.GetNumProfilerEvents(profiler_, &count), "GetNumProfilerEvents");
    Events events(static_cast<std::size_t>(count));
    check(library_.GetProfilerEvents(profiler_, count, events.data()), "GetProfilerEvents");
    return events;
  }

 private:
  [[noreturn]] void fail() const {
    throw ArtifactError("LiteRT cannot run " + path_ +
                        "; it may hold an op that this version does not know");
  }

  // LiteRT keeps the address of the text and would free it; here it belongs to this object.
  void add_option(const char* group, std::string& text) {
    Handle made = nullptr;
    check(library_.CreateOpaqueOptions(
              group, text.data(), [](void*) {}, &made),
          "CreateOpaqueOptions");
    check(library_.AddOpaqueOptions(options_.get(), made), "AddOpaqueOptions");
  }

  void make_buffers() {
    Handle signature = nullptr;
    check(library_.GetModelSignature(model_.get(), 0, &signature), "GetModelSignature");
    std::size_t inputs = 0, outputs = 0;
    check(library_.GetNumSignatureInputs(signature, &inputs), "GetNumSignatureInputs");
    check(library_.GetNumSignatureOutputs(signature, &outputs), "GetNumSignatureOutputs");
    buffers_.reserve(inputs + outputs);
    for (std::size_t index = 0; index < inputs; ++index) {
      const char* name = nullptr;
      Handle tensor = nullptr, required = nullptr;
      check(library_.GetSignatureInputName(signature, index, &name), "GetSignatureInputName");
      check(library_.GetSignatureInputTensorByIndex(signature, index, &tensor), "GetInputTensor");
      check(library_.GetCompiledModelInputBufferRequirements(compiled_.get(), 0, index, &required),
            "GetInputBufferRequirements");
      inputs_.push_back(make_buffer(name, tensor, required));
      in_.push_back(buffers_.back().get());
    }
    for (std::size_t index = 0; index < outputs; ++index) {
      const char* name = nullptr;
      Handle tensor = nullptr, required = nullptr;
      check(library_.GetSignatureOutputName(signature, index, &name), "GetSignatureOutputName");
      check(library_.GetSignatureOutputTensorByIndex(signature, index, &tensor), "GetOutputTensor");
      check(library_.GetCompiledModelOutputBufferRequirements(compiled_.get(), 0, index, &required),
            "GetOutputBufferRequirements");
      outputs_.push_back(make_buffer(name, tensor, required));
      out_.push_back(buffers_.back().get());
    }
  }

  TensorSpec make_buffer(const char* name, Handle tensor, Handle required) {
    litert::TensorType type{};
    check(library_.GetRankedTensorType(tensor, &type), "GetRankedTensorType");
    TensorSpec spec = spec_of(name, type, path_);
    Owned& buffer = buffers_.emplace_back(library_.DestroyTensorBuffer);
    check(library_.CreateManagedTensorBufferFromRequirements(environment_.get(), &type, required,
                                                             buffer.place()),
          "CreateManagedTensorBuffer");
    return spec;
  }

  const Library& library_;
  std::string path_;
  std::string cpu_text_, profiling_text_ = "enable_profiling = true\n";
  // In this order: each is made from those before it, and destroyed before them.
  Owned environment_, model_, options_, compiled_;
  std::vector<Owned> buffers_;
  Handle profiler_ = nullptr;  // belongs to the compiled model
  std::vector<TensorSpec> inputs_, outputs_;
  std::vector<Handle> in_, out_;
};

// Profiles one run, and sees whether its events can be what they are taken for.
void check_profiler(Compiled& profiled) {
  const std::int64_t begin = clock_ns();
  const Events events = profiled.record();
  const std::uint64_t elapsed_us = static_cast<std::uint64_t>(clock_ns() - begin) / 1000;
  bool sane = true;
  int whole = 0;
  // The types first: to read a name at a wrong address would end the process.
  for (const Event& event : events) sane = sane && kKnownTypes.count(event.type) != 0;
  for (const Event& event : events) {
    if (!sane || event.type != kStage || event.tag != kWholeRun) continue;
    ++whole;
    sane = event.elapsed_us > 0 && event.elapsed_us <= elapsed_us + 1;
  }
  if (!sane || whole != 1) {
    throw LaunchError(
        "LiteRT's profiler gave events that make no sense; profiling knows "
        "ai-edge-litert 2.2 and 2.3: use one of these");
  }
}

// Indices of the events that took time of their own.
std::vector<std::size_t> taking_time(const Events& events) {
  std::vector<std::size_t> indices;
  for (std::size_t index = 0; index < events.size(); ++index) {
    const Event& event = events[index];
    const bool op = event.type == kKernel || event.type == kDelegated;
    if (op || (event.type == kStage && event.tag != kWholeRun)) indices.push_back(index);
  }
  return indices;
}

Executed executed(const Event& event) {
  Executed made{event.tag, std::nullopt, event.type == kStage};
  if (event.type == kKernel) made.node = event.node;
  return made;
}

bool same_ops(const Events& one, const Events& other) {
  const auto kinds = [](const Events& events) {
    std::vector<std::pair<std::int32_t, std::uint64_t>> kinds;
    for (const Event& event : events) {
      if (event.type != kTelemetry) kinds.emplace_back(event.type, event.node);
    }
    return kinds;
  };
  return one.size() == other.size() && kinds(one) == kinds(other);
}

class LiteRtSession : public Session {
 public:
  LiteRtSession(const Library& library, const Job& job)
      : library_(library),
        path_(file_of(job.files, "model")),
        threads_(job.options.threads),
        nodes_(tflite_nodes(content_of(path_), path_)),  // first: this sees whether it is whole
        network_(library, path_, threads_, false) {}

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
    Compiled profiled(library_, path_, threads_, true);
    profiled.bind(feeds_);
    check_profiler(profiled);
    std::vector<Events> recorded;
    const Times times =
        interleaved([this] { infer(); }, [&] { recorded.push_back(profiled.record()); }, runs);
    const Events& last = recorded.back();
    OpProfile profile;
    profile.profiled_ns = times.profiled_ns;
    profile.plain_ns = times.plain_ns;
    std::vector<Executed> made;
    for (const std::size_t index : taking_time(last)) {
      made.push_back(executed(last[index]));
      Durations& durations = profile.times_ns.emplace_back();
      for (const std::size_t run : times.counted) {
        if (!same_ops(recorded[run], last)) {
          throw LaunchError("LiteRT executed other ops from run to run; profile it again");
        }
        durations.push_back(static_cast<std::int64_t>(recorded[run][index].elapsed_us) * 1000);
      }
    }
    profile.ops = align(nodes_, made);
    return profile;
  }

 private:
  const Library& library_;
  std::string path_;
  std::int64_t threads_;
  std::vector<TfliteNode> nodes_;
  Compiled network_;
  std::vector<NamedArray> feeds_;
};

class LiteRt : public Engine {
 public:
  // The library does not tell its version: whoever builds the runner knows what it will find.
  std::string version() const override { return GROUNDSPEED_ENGINE_VERSION; }
  std::string build() const override { return "ai-edge-litert"; }
  std::unique_ptr<Session> open(const Job& job) override {
    return std::make_unique<LiteRtSession>(library_, job);
  }

 private:
  Library library_;
};

}  // namespace

const char* const kRuntime = "litert";

std::unique_ptr<Engine> load_engine() { return std::make_unique<LiteRt>(); }

}  // namespace groundspeed
