// The errors that the agent may answer with: those of groundspeed/errors.py, by name.
#pragma once

#include <stdexcept>
#include <string>

namespace groundspeed {

enum ExitCode { kTriedAndFailed = 1, kCannotBeCarriedOut = 2 };

// Base of them all. The message says what happened, to which thing, and what to do next.
struct Error : std::runtime_error {
  Error(std::string name, ExitCode code, const std::string& message)
      : std::runtime_error(message), name(std::move(name)), message(message), exit_code(code) {}

  std::string name;     // of the Python class that the host raises
  std::string message;  // what() ends at a NUL character, which a name in a job may hold
  ExitCode exit_code;
};

struct UsageError : Error {
  explicit UsageError(const std::string& message)
      : Error("UsageError", kCannotBeCarriedOut, message) {}
};

struct UnknownName : Error {
  explicit UnknownName(const std::string& message)
      : Error("UnknownName", kCannotBeCarriedOut, message) {}
};

struct MissingExtra : Error {
  explicit MissingExtra(const std::string& message)
      : Error("MissingExtra", kCannotBeCarriedOut, message) {}
};

struct ArtifactError : Error {
  explicit ArtifactError(const std::string& message)
      : Error("ArtifactError", kCannotBeCarriedOut, message) {}
};

struct InputError : Error {
  explicit InputError(const std::string& message)
      : Error("InputError", kCannotBeCarriedOut, message) {}
};

struct LaunchError : Error {
  explicit LaunchError(const std::string& message)
      : Error("LaunchError", kTriedAndFailed, message) {}
};

struct NonFiniteOutput : Error {
  explicit NonFiniteOutput(const std::string& message)
      : Error("NonFiniteOutput", kTriedAndFailed, message) {}
};

}  // namespace groundspeed
