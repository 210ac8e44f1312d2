#include "conditions.h"

#include <glob.h>
#include <sched.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <ctime>
#include <set>
#include <string>

#include "errors.h"
#include "files.h"
#include "text.h"

namespace groundspeed {
namespace {

using json::Object;
using json::Value;

const std::string kCpus = "/sys/devices/system/cpu/", kThermal = "/sys/class/thermal/";
constexpr const char* kFeatures[] = {"sse4_2",  "avx",         "avx2",     "fma",      "f16c",
                                     "avx512f", "avx512_vnni", "avx_vnni", "amx_tile", "neon",
                                     "asimd",   "asimdhp",     "asimddp",  "i8mm",     "bf16",
                                     "sve",     "sve2"};

// The content of a file without white space, or the device tree's NUL, at its ends.
std::optional<std::string> text(const std::string& path) {
  std::optional<std::string> content = read_file(path);
  if (!content) return std::nullopt;
  static const std::string kBlank(" \t\r\n\0", 5);
  const std::size_t begin = content->find_first_not_of(kBlank);
  if (begin == std::string::npos) return "";
  return content->substr(begin, content->find_last_not_of(kBlank) - begin + 1);
}

std::optional<double> number(const std::optional<std::string>& text) {
  if (!text || text->empty()) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(text->c_str(), &end);
  if (*end != '\0') return std::nullopt;
  return value;
}

// Paths that match a pattern, sorted.
std::vector<std::string> matching(const std::string& pattern) {
  glob_t found{};
  std::vector<std::string> paths;
  if (::glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    paths.assign(found.gl_pathv, found.gl_pathv + found.gl_pathc);
  }
  ::globfree(&found);
  return paths;
}

// The values of all lines "key : value" with one of the keys.
std::vector<std::string> values(const std::string& text, const std::set<std::string>& keys) {
  std::vector<std::string> found;
  for (const std::string& line : lines(text)) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string key = line.substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    const std::size_t begin = line.find_first_not_of(" \t", colon + 1);
    if (keys.count(key) != 0) found.push_back(begin < line.size() ? line.substr(begin) : "");
  }
  return found;
}

// The number of bytes in a line "field: 123 kB".
std::optional<std::int64_t> kibibytes(const char* path, const char* field) {
  const auto found = values(text(path).value_or(""), {field});
  if (found.empty()) return std::nullopt;
  return std::strtoll(found[0].c_str(), nullptr, 10) * 1024;
}

// Boards say what they are in the device tree; PCs only name their processor.
std::optional<std::string> model(const std::string& cpuinfo) {
  const std::string board = text("/proc/device-tree/model").value_or("");
  if (!board.empty()) return board;
  const auto named = values(cpuinfo, {"model name", "Hardware"});
  return named.empty() ? std::nullopt : std::optional(named[0]);
}

std::optional<std::string> governors() {
  std::set<std::string> names;
  for (const std::string& path : matching(kCpus + "cpufreq/policy*/scaling_governor")) {
    names.insert(text(path).value_or(""));
  }
  std::string joined;
  for (const std::string& name : names) {
    if (!name.empty()) joined += (joined.empty() ? "" : ", ") + name;
  }
  return joined.empty() ? std::nullopt : std::optional(joined);
}

Value features(const std::string& cpuinfo) {
  std::set<std::string> present;
  const auto listed = values(cpuinfo, {"flags", "Features"});
  for (const std::string& word : words(listed.empty() ? "" : listed[0])) present.insert(word);
  json::Array known;
  for (const char* name : kFeatures) {
    if (present.count(name) != 0) known.emplace_back(name);
  }
  return known;
}

Value emulated(const std::string& cpuinfo) {
  for (const char* mark : {"QEMU", "TCG"}) {
    if (cpuinfo.find(mark) != std::string::npos) return true;
  }
  return {};
}

Value object_or_null(Object members) { return members.empty() ? Value() : Value(members); }

// Each CPU's clock: the governor's own word, else what /proc/cpuinfo shows.
Value frequencies_hz() {
  Object found;
  for (const std::string& path : matching(kCpus + "cpu[0-9]*/cpufreq/scaling_cur_freq")) {
    if (const auto kilohertz = number(text(path))) {
      const std::string cpu =
          path.substr(kCpus.size(), path.find('/', kCpus.size()) - kCpus.size());
      found.emplace_back(cpu, *kilohertz * 1e3);
    }
  }
  if (!found.empty()) return found;
  for (const std::string& clock : values(text("/proc/cpuinfo").value_or(""), {"cpu MHz"})) {
    if (const auto megahertz = number(clock)) {
      found.emplace_back("cpu" + std::to_string(found.size()), *megahertz * 1e6);
    }
  }
  return object_or_null(found);
}

Value temperatures_c() {
  Object found;
  for (const std::string& zone : matching(kThermal + "thermal_zone*")) {
    if (const auto millidegrees = number(text(zone + "/temp"))) {
      const std::string kind = text(zone + "/type").value_or("");
      found.emplace_back(zone.substr(kThermal.size()) + " " + (kind.empty() ? "unknown" : kind),
                         *millidegrees / 1e3);
    }
  }
  return object_or_null(found);
}

// Whether a cooling device that slows the processor is at work now.
Value throttled() {
  Value answer;
  for (const std::string& device : matching(kThermal + "cooling_device*")) {
    std::string kind = text(device + "/type").value_or("");
    std::transform(kind.begin(), kind.end(), kind.begin(), ::tolower);
    if (kind.find("cpufreq") == std::string::npos && kind.find("processor") == std::string::npos) {
      continue;
    }
    if (const auto state = number(text(device + "/cur_state"))) {
      if (*state != 0) return true;
      answer = false;
    }
  }
  return answer;
}

Value battery() {
  for (const std::string& path : matching("/sys/class/power_supply/*/capacity")) {
    if (const auto percent = number(text(path))) return *percent / 100;
  }
  return {};
}

std::string now() {
  const std::time_t seconds = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  char written[32];
  std::strftime(written, sizeof written, "%Y-%m-%dT%H:%M:%S+00:00", &parts);
  return written;
}

std::vector<std::int64_t> allowed() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (::sched_getaffinity(0, sizeof set, &set) != 0) {
    throw LaunchError("the system does not tell which CPUs this process may run on");
  }
  std::vector<std::int64_t> cpus;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu) {
    if (CPU_ISSET(cpu, &set)) cpus.push_back(cpu);
  }
  return cpus;
}

std::string joined(const std::vector<std::int64_t>& cpus) {
  std::string out;
  for (const std::int64_t cpu : cpus) out += (out.empty() ? "" : ", ") + std::to_string(cpu);
  return out;
}

}  // namespace

Object read_machine() {
  utsname system{};
  ::uname(&system);
  const std::string cpuinfo = text("/proc/cpuinfo").value_or("");
  return {
      {"name", system.nodename},
      {"model", model(cpuinfo)},
      {"architecture", system.machine},
      {"system", std::string(system.sysname) + " " + system.release + " " + system.version},
      {"cpus", static_cast<std::int64_t>(::sysconf(_SC_NPROCESSORS_ONLN))},
      {"memory_bytes", kibibytes("/proc/meminfo", "MemTotal")},
      {"governor", governors()},
      {"features", features(cpuinfo)},
      {"emulated", emulated(cpuinfo)},
  };
}

Object read_conditions() {
  const std::string load = text("/proc/loadavg").value_or("");
  return {
      {"at", now()},
      {"frequencies_hz", frequencies_hz()},
      {"temperatures_c", temperatures_c()},
      {"load", number(load.substr(0, load.find(' ')))},
      {"throttled", throttled()},
      {"battery", battery()},
  };
}

std::optional<std::int64_t> memory_bytes(const char* field) {
  return kibibytes("/proc/self/status", field);
}

std::vector<std::int64_t> restrict_to(const std::vector<std::int64_t>& cpus) {
  const std::vector<std::int64_t> before = allowed();
  if (cpus.empty()) return before;
  std::vector<std::int64_t> refused;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const std::int64_t cpu : cpus) {
    // The kernel silently drops CPUs that it does not have, as long as one is left.
    if (std::find(before.begin(), before.end(), cpu) == before.end()) {
      refused.push_back(cpu);
    } else {
      CPU_SET(static_cast<int>(cpu), &set);
    }
  }
  if (!refused.empty() || ::sched_setaffinity(0, sizeof set, &set) != 0) {
    throw UsageError("CPU " + joined(refused.empty() ? cpus : refused) +
                     " cannot be used; this process may run on " + joined(before));
  }
  return allowed();
}

}  // namespace groundspeed
