// An engine's shared library, found by the loader: beside the runner, or where it was told to look.
#pragma once

#include <dlfcn.h>

#include <string>

#include "errors.h"

namespace groundspeed {

// It stays loaded until the process ends.
class SharedLibrary {
 public:
  // `known` says which versions have what is looked for. Raises MissingExtra: it cannot be loaded.
  SharedLibrary(const std::string& name, const std::string& known)
      : name_(name), known_(known), handle_(::dlopen(name.c_str(), RTLD_NOW | RTLD_LOCAL)) {
    if (handle_ == nullptr) {
      throw MissingExtra(name + " cannot be loaded (" + ::dlerror() +
                         "); put it beside the runner, built for this device");
    }
  }

  // Points `function` at the function of that name. Raises MissingExtra: there is none.
  template <typename Function>
  void find(const char* function_name, Function& function) const {
    function = reinterpret_cast<Function>(::dlsym(handle_, function_name));
    if (function == nullptr) {
      throw MissingExtra(name_ + " has no function " + function_name + "; this agent knows " +
                         known_ + ": use one of these");
    }
  }

 private:
  std::string name_, known_;
  void* handle_;
};

}  // namespace groundspeed
