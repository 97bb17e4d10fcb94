#include "forwarder/rule_table.h"

#include <algorithm>

namespace mcfleet {
namespace {

bool any_drops_duplicates(std::span<const Rule> rules) {
  return std::any_of(rules.begin(), rules.end(),
                     [](const Rule& rule) { return !rule.keep_duplicates; });
}

std::vector<OutputAction> all_outputs(std::span<const Rule> rules) {
  size_t count = 0;
  for (const Rule& rule : rules) count += rule.outputs.size();
  std::vector<OutputAction> outputs;
  outputs.reserve(count);
  for (const Rule& rule : rules) {
    outputs.insert(outputs.end(), rule.outputs.begin(), rule.outputs.end());
  }
  return outputs;
}

std::vector<IpAddress> ipv6_addresses(std::span<const Rule> rules) {
  std::vector<IpAddress> addresses;
  for (const Rule& rule : rules) {
    if (rule.group.is_ipv4()) continue;
    addresses.push_back(rule.group);
    addresses.insert(addresses.end(), rule.sources.begin(), rule.sources.end());
    addresses.insert(addresses.end(), rule.excluded_sources.begin(), rule.excluded_sources.end());
  }
  return addresses;
}

}  // namespace

RuleTable::RuleTable(std::span<const Rule> rules)
    : drops_duplicates_(any_drops_duplicates(rules)),
      outputs_(all_outputs(rules)),
      numbers_(ipv6_addresses(rules)),
      ipv4_(index_rules(rules, true)),
      ipv6_(index_rules(rules, false)) {}

// The rules of one family, their addresses as the packet path compares them.
std::vector<IndexedRule> RuleTable::index_rules(std::span<const Rule> rules, bool ipv4) const {
  const auto key_of = [&](const IpAddress& address) {
    return ipv4 ? address.ipv4() : numbers_.find(address);
  };
  const auto keys_of = [&](const std::vector<IpAddress>& addresses) {
    std::vector<uint32_t> keys;
    for (const IpAddress& address : addresses) keys.push_back(key_of(address));
    std::sort(keys.begin(), keys.end());
    return keys;
  };
  std::vector<IndexedRule> indexed;
  indexed.reserve(static_cast<size_t>(std::count_if(
      rules.begin(), rules.end(), [&](const Rule& rule) { return rule.group.is_ipv4() == ipv4; })));
  size_t first = 0;
  for (const Rule& rule : rules) {
    const std::span<const OutputAction> outputs(outputs_.data() + first, rule.outputs.size());
    first += rule.outputs.size();
    if (rule.group.is_ipv4() != ipv4) continue;
    indexed.push_back(
        {key_of(rule.group),
         rule.port,
         rule.vlan,
         keys_of(rule.sources),
         keys_of(rule.excluded_sources),
         {rule.counters, outputs, {}, rule.limiter, rule.keep_duplicates, rule.min_ttl}});
  }
  return indexed;
}

}  // namespace mcfleet
