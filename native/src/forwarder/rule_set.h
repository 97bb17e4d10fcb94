#pragma once

#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "forwarder/rule_table.h"

namespace mcfleet {

// The rules of one input in one piece of memory, so that a table is built from them without
// collecting them from all over the heap: that is most of what one change among 10,000 costs.
class RuleSet final {
 public:
  [[nodiscard]] const std::vector<Rule>& rules() const { return rules_; }

  // Adds the rule of a relay, or replaces it.
  void put(const std::string& uid, Rule rule) {
    const auto [found, added] = positions_.try_emplace(uid, rules_.size());
    if (!added) {
      rules_[found->second] = std::move(rule);
      return;
    }
    rules_.push_back(std::move(rule));
    uids_.push_back(uid);
  }

  void erase(const std::string& uid) {
    const auto found = positions_.find(uid);
    if (found == positions_.end()) return;
    const size_t position = found->second;
    positions_.erase(found);
    if (position + 1 < rules_.size()) {
      rules_[position] = std::move(rules_.back());
      uids_[position] = std::move(uids_.back());
      positions_.at(uids_[position]) = position;
    }
    rules_.pop_back();
    uids_.pop_back();
  }

 private:
  std::vector<Rule> rules_;
  // Parallel to `rules_`.
  std::vector<std::string> uids_;
  std::unordered_map<std::string, size_t> positions_;
};

}  // namespace mcfleet
