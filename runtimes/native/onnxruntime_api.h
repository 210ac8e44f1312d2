// The C interface of libonnxruntime.so, as far as it is called.
//
// It is one table of functions whose entries never change their places: later versions only add to
// its end (https://onnxruntime.ai/docs/api/c/struct_ort_api.html). So the places are all that has
// to be known here, and any version from 1.20 on will do.
#pragma once

#include <cstddef>
#include <cstdint>

namespace groundspeed::ort {

struct Status;
struct Environment;
struct Options;
struct Session;
struct Value;
struct Binding;
struct MemoryInfo;
struct Allocator;
struct TypeInfo;
struct TensorInfo;

// What OrtGetApiBase returns.
struct ApiBase {
  const void* const* (*GetApi)(std::uint32_t version);
  const char* (*GetVersionString)();
};

constexpr std::uint32_t kApiVersion = 20;  // of ONNX Runtime 1.20

// One function of the table: its place and its type.
template <typename Function>
struct Entry {
  std::size_t place;
};

using StatusOf = Status*;  // null for success

constexpr Entry<const char*(const Status*)> kGetErrorMessage{2};
constexpr Entry<StatusOf(int level, const char* name, Environment**)> kCreateEnv{3};
constexpr Entry<StatusOf(Environment*, const char* path, const Options*, Session**)> kCreateSession{
    7};
constexpr Entry<StatusOf(Environment*, const void* model, std::size_t, const Options*, Session**)>
    kCreateSessionFromArray{8};
constexpr Entry<StatusOf(Options**)> kCreateSessionOptions{10};
constexpr Entry<StatusOf(Options*, const char* path)> kSetOptimizedModelFilePath{11};
constexpr Entry<StatusOf(Options*, int mode)> kSetSessionExecutionMode{13};
constexpr Entry<StatusOf(Options*, const char* prefix)> kEnableProfiling{14};
constexpr Entry<StatusOf(Options*, int level)> kSetSessionLogSeverityLevel{22};
constexpr Entry<StatusOf(Options*, int level)> kSetSessionGraphOptimizationLevel{23};
constexpr Entry<StatusOf(Options*, int threads)> kSetIntraOpNumThreads{24};
constexpr Entry<StatusOf(Options*, int threads)> kSetInterOpNumThreads{25};
constexpr Entry<StatusOf(const Session*, std::size_t*)> kSessionGetInputCount{30};
constexpr Entry<StatusOf(const Session*, std::size_t*)> kSessionGetOutputCount{31};
constexpr Entry<StatusOf(const Session*, std::size_t, TypeInfo**)> kSessionGetInputTypeInfo{33};
constexpr Entry<StatusOf(const Session*, std::size_t, TypeInfo**)> kSessionGetOutputTypeInfo{34};
constexpr Entry<StatusOf(const Session*, std::size_t, Allocator*, char**)> kSessionGetInputName{36};
constexpr Entry<StatusOf(const Session*, std::size_t, Allocator*, char**)> kSessionGetOutputName{
    37};
constexpr Entry<StatusOf(const MemoryInfo*, void* data, std::size_t, const std::int64_t* shape,
                         std::size_t rank, int element, Value**)>
    kCreateTensorWithDataAsOrtValue{49};
constexpr Entry<StatusOf(Value*, void**)> kGetTensorMutableData{51};
constexpr Entry<StatusOf(const TypeInfo*, const TensorInfo**)> kCastTypeInfoToTensorInfo{55};
constexpr Entry<StatusOf(const TensorInfo*, int*)> kGetTensorElementType{60};
constexpr Entry<StatusOf(const TensorInfo*, std::size_t*)> kGetDimensionsCount{61};
constexpr Entry<StatusOf(const TensorInfo*, std::int64_t*, std::size_t)> kGetDimensions{62};
constexpr Entry<StatusOf(int allocator, int memory, MemoryInfo**)> kCreateCpuMemoryInfo{69};
constexpr Entry<StatusOf(Allocator*, void*)> kAllocatorFree{76};
constexpr Entry<StatusOf(Allocator**)> kGetAllocatorWithDefaultOptions{78};
constexpr Entry<void(Environment*)> kReleaseEnv{92};
constexpr Entry<void(Status*)> kReleaseStatus{93};
constexpr Entry<void(MemoryInfo*)> kReleaseMemoryInfo{94};
constexpr Entry<void(Session*)> kReleaseSession{95};
constexpr Entry<void(Value*)> kReleaseValue{96};
constexpr Entry<void(TypeInfo*)> kReleaseTypeInfo{98};
constexpr Entry<void(Options*)> kReleaseSessionOptions{100};
constexpr Entry<StatusOf(Session*, Allocator*, char**)> kSessionEndProfiling{110};
constexpr Entry<StatusOf(Options*, const char* key, const char* value)> kAddSessionConfigEntry{130};
constexpr Entry<StatusOf(Session*, const void* run_options, const Binding*)> kRunWithBinding{133};
constexpr Entry<StatusOf(Session*, Binding**)> kCreateIoBinding{134};
constexpr Entry<void(Binding*)> kReleaseIoBinding{135};
constexpr Entry<StatusOf(Binding*, const char* name, const Value*)> kBindInput{136};
constexpr Entry<StatusOf(Binding*, const char* name, const MemoryInfo*)> kBindOutputToDevice{138};
constexpr Entry<StatusOf(const Binding*, Allocator*, Value***, std::size_t*)> kGetBoundOutputValues{
    140};
constexpr Entry<const char*()> kGetBuildInfoString{254};

// Values of enumerations.
constexpr int kLogErrors = 3, kSequential = 0, kNoOptimization = 0;
constexpr int kArena = 1, kDefaultMemory = 0;

}  // namespace groundspeed::ort
