// The C interface of libLiteRt.so, loaded when first needed; see runtimes/litert_library.py.
//
// Declarations follow litert/c of https://github.com/google-ai-edge/LiteRT. That interface is not
// frozen, so events are looked at before they are believed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace groundspeed::litert {

using Handle = void*;
using Status = int;  // 0 for success
using Destructor = void (*)(void*);

// LiteRtLayout: the lowest seven bits of `bits` are the rank.
struct Layout {
  std::uint32_t bits;
  std::int32_t dimensions[8];
  std::uint32_t strides[8];
};

// LiteRtRankedTensorType.
struct TensorType {
  std::int32_t element;
  Layout layout;
};

struct Memory {
  std::size_t total, in_use, exclusive;
};

// ProfiledEventData; `node` counts within what made the event.
struct Event {
  const char* tag;
  std::int32_t type;
  std::uint64_t start_us, elapsed_us;
  Memory before, after;
  std::uint64_t node, graph;
  std::int32_t source;
};

// The functions that this agent calls, by their names without "LiteRt".
struct Library {
  // Raises MissingExtra: the library cannot be loaded, or lacks one of the functions.
  Library();

  Status (*CreateEnvironment)(int, const void*, Handle*);
  Status (*CreateModelFromFile)(Handle, const char*, Handle*);
  Status (*CreateOptions)(Handle*);
  Status (*SetOptionsHardwareAccelerators)(Handle, int);
  Status (*CreateOpaqueOptions)(const char*, void*, Destructor, Handle*);
  Status (*AddOpaqueOptions)(Handle, Handle);
  Status (*CreateCompiledModel)(Handle, Handle, Handle, Handle*);
  Status (*GetModelSignature)(Handle, std::size_t, Handle*);
  Status (*GetNumSignatureInputs)(Handle, std::size_t*);
  Status (*GetNumSignatureOutputs)(Handle, std::size_t*);
  Status (*GetSignatureInputName)(Handle, std::size_t, const char**);
  Status (*GetSignatureOutputName)(Handle, std::size_t, const char**);
  Status (*GetSignatureInputTensorByIndex)(Handle, std::size_t, Handle*);
  Status (*GetSignatureOutputTensorByIndex)(Handle, std::size_t, Handle*);
  Status (*GetRankedTensorType)(Handle, TensorType*);
  Status (*GetCompiledModelInputBufferRequirements)(Handle, std::size_t, std::size_t, Handle*);
  Status (*GetCompiledModelOutputBufferRequirements)(Handle, std::size_t, std::size_t, Handle*);
  Status (*CreateManagedTensorBufferFromRequirements)(Handle, const TensorType*, Handle, Handle*);
  Status (*LockTensorBuffer)(Handle, void**, int);
  Status (*UnlockTensorBuffer)(Handle);
  Status (*RunCompiledModel)(Handle, std::size_t, std::size_t, Handle*, std::size_t, Handle*);
  Status (*CompiledModelGetProfiler)(Handle, Handle*);
  Status (*ResetProfiler)(Handle);
  Status (*StartProfiler)(Handle);
  Status (*StopProfiler)(Handle);
  Status (*GetNumProfilerEvents)(Handle, int*);
  Status (*GetProfilerEvents)(Handle, int, Event*);
  Destructor DestroyEnvironment, DestroyModel, DestroyOptions, DestroyCompiledModel;
  Destructor DestroyTensorBuffer;
};

}  // namespace groundspeed::litert
