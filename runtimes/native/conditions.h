// What this machine is and how it is doing, read from Linux's /proc and /sys.
//
// The same facts from the same files as in runtimes/conditions.py; what cannot be read is null.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "json.h"

namespace groundspeed {

// groundspeed/measurement.py's Machine.
json::Object read_machine();

// groundspeed/measurement.py's Conditions, at this moment.
json::Object read_conditions();

// A size of this process in bytes: "VmHWM" is the largest resident set, "VmRSS" today's.
std::optional<std::int64_t> memory_bytes(const char* field);

// Restricts this process to `cpus` (all it has, when empty) and returns what was granted. Engines
// size and place their threads when they are opened, so this comes first.
// Raises UsageError: a CPU does not exist, is offline, or is outside the process's cpuset.
std::vector<std::int64_t> restrict_to(const std::vector<std::int64_t>& cpus);

}  // namespace groundspeed
