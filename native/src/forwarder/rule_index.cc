#include "forwarder/rule_index.h"

#include <algorithm>
#include <bit>
#include <tuple>

namespace mcfleet {
namespace {

// Appends to a vector that has room, and says where.
std::span<const uint32_t> append(std::vector<uint32_t>& all, const std::vector<uint32_t>& items) {
  const size_t first = all.size();
  all.insert(all.end(), items.begin(), items.end());
  return {all.data() + first, items.size()};
}

}  // namespace

RuleIndex::RuleIndex(std::span<const IndexedRule> rules) {
  struct Entry {
    Key key;
    size_t rule;
  };
  std::vector<Entry> entries;
  size_t excluded = 0;
  for (size_t i = 0; i < rules.size(); i++) {
    const IndexedRule& rule = rules[i];
    groups_.emplace_back(rule.vlan, rule.group);
    excluded += rule.excluded_sources.size();
    const unsigned any_port = rule.port == 0 ? kAnyPort : 0;
    if (rule.sources.empty()) {
      shapes_ |= 1U << (any_port | kAnySource);
      entries.push_back({{rule.group, 0, rule.port, rule.vlan}, i});
      continue;
    }
    shapes_ |= 1U << any_port;
    for (const uint32_t source : rule.sources)
      entries.push_back({{rule.group, source, rule.port, rule.vlan}, i});
  }
  const auto order = [](const Entry& e) {
    return std::tuple(e.key.vlan, e.key.group, e.key.source, e.key.port, e.rule);
  };
  std::sort(entries.begin(), entries.end(),
            [&](const Entry& a, const Entry& b) { return order(a) < order(b); });
  // A source named twice is one key of the relay, not two copies.
  entries.erase(std::unique(entries.begin(), entries.end(),
                            [&](const Entry& a, const Entry& b) { return order(a) == order(b); }),
                entries.end());

  std::sort(groups_.begin(), groups_.end());
  groups_.erase(std::unique(groups_.begin(), groups_.end()), groups_.end());

  // Spans into it: it must not grow any more.
  excluded_sources_.reserve(excluded);
  std::vector<RuleMatch> by_rule;
  by_rule.reserve(rules.size());
  for (const IndexedRule& rule : rules) {
    by_rule.push_back(rule.match);
    by_rule.back().excluded_sources = append(excluded_sources_, rule.excluded_sources);
  }

  // At most half full: probes stay short, and there is always an empty slot to end them.
  slots_.resize(std::bit_ceil(std::max<size_t>(entries.size() * 2, 2)));
  mask_ = slots_.size() - 1;
  matches_.reserve(entries.size());
  for (size_t i = 0; i < entries.size();) {
    size_t end = i;
    const auto first = static_cast<uint32_t>(matches_.size());
    while (end < entries.size() && entries[end].key == entries[i].key) {
      matches_.push_back(by_rule[entries[end].rule]);
      end++;
    }
    insert(entries[i].key, first, static_cast<uint32_t>(end - i));
    i = end;
  }
}

void RuleIndex::insert(const Key& key, uint32_t first, uint32_t count) {
  size_t i = hash(key) & mask_;
  while (slots_[i].count != 0) i = (i + 1) & mask_;
  slots_[i] = {key, first, count};
}

}  // namespace mcfleet
