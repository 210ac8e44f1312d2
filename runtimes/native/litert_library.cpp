#include "litert_library.h"

#include "shared_library.h"

namespace groundspeed::litert {

Library::Library() {
  SharedLibrary library("libLiteRt.so", "ai-edge-litert 2.2 and 2.3");
  library.find("LiteRtCreateEnvironment", CreateEnvironment);
  library.find("LiteRtCreateModelFromFile", CreateModelFromFile);
  library.find("LiteRtCreateOptions", CreateOptions);
  library.find("LiteRtSetOptionsHardwareAccelerators", SetOptionsHardwareAccelerators);
  library.find("LiteRtCreateOpaqueOptions", CreateOpaqueOptions);
  library.find("LiteRtAddOpaqueOptions", AddOpaqueOptions);
  library.find("LiteRtCreateCompiledModel", CreateCompiledModel);
  library.find("LiteRtGetModelSignature", GetModelSignature);
  library.find("LiteRtGetNumSignatureInputs", GetNumSignatureInputs);
  library.find("LiteRtGetNumSignatureOutputs", GetNumSignatureOutputs);
  library.find("LiteRtGetSignatureInputName", GetSignatureInputName);
  library.find("LiteRtGetSignatureOutputName", GetSignatureOutputName);
  library.find("LiteRtGetSignatureInputTensorByIndex", GetSignatureInputTensorByIndex);
  library.find("LiteRtGetSignatureOutputTensorByIndex", GetSignatureOutputTensorByIndex);
  library.find("LiteRtGetRankedTensorType", GetRankedTensorType);
  library.find("LiteRtGetCompiledModelInputBufferRequirements",
               GetCompiledModelInputBufferRequirements);
  library.find("LiteRtGetCompiledModelOutputBufferRequirements",
               GetCompiledModelOutputBufferRequirements);
  library.find("LiteRtCreateManagedTensorBufferFromRequirements",
               CreateManagedTensorBufferFromRequirements);
  library.find("LiteRtLockTensorBuffer", LockTensorBuffer);
  library.find("LiteRtUnlockTensorBuffer", UnlockTensorBuffer);
  library.find("LiteRtRunCompiledModel", RunCompiledModel);
  library.find("LiteRtCompiledModelGetProfiler", CompiledModelGetProfiler);
  library.find("LiteRtResetProfiler", ResetProfiler);
  library.find("LiteRtStartProfiler", StartProfiler);
  library.find("LiteRtStopProfiler", StopProfiler);
  library.find("LiteRtGetNumProfilerEvents", GetNumProfilerEvents);
  library.find("LiteRtGetProfilerEvents", GetProfilerEvents);
  library.find("LiteRtDestroyEnvironment", DestroyEnvironment);
  library.find("LiteRtDestroyModel", DestroyModel);
  library.find("LiteRtDestroyOptions", DestroyOptions);
  library.find("LiteRtDestroyCompiledModel", DestroyCompiledModel);
  library.find("LiteRtDestroyTensorBuffer", DestroyTensorBuffer);
}

}  // namespace groundspeed::litert
