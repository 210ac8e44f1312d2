// Which executed op reads what which other computed; see runtimes/data_flow.py.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace groundspeed {

using Positions = std::vector<std::int64_t>;  // among the executed ops, ascending

// Told of the ops in order of execution.
class DataFlow {
 public:
  // The positions of the ops that computed these inputs of the next op.
  Positions next(const std::vector<std::string>& inputs, const std::vector<std::string>& outputs) {
    std::set<std::int64_t> sources;
    for (const std::string& name : inputs) {
      const auto maker = makers_.find(name);
      if (maker != makers_.end()) sources.insert(maker->second);
    }
    for (const std::string& name : outputs) makers_[name] = position_;
    ++position_;
    return {sources.begin(), sources.end()};
  }

 private:
  std::map<std::string, std::int64_t> makers_;
  std::int64_t position_ = 0;
};

}  // namespace groundspeed
