#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "base/counters.h"
#include "forwarder/address_numbers.h"
#include "forwarder/rate_limiter.h"
#include "forwarder/rule_index.h"
#include "packet/ip_address.h"
#include "packet/ipv6_headers.h"

namespace mcfleet {

// One relay of an input, as the table is built from it.
struct Rule {
  IpAddress group;
  // 0: any.
  uint16_t port = 0;
  // 0: untagged.
  uint16_t vlan = 0;
  // Of the group's family. Empty: any but those excluded.
  std::vector<IpAddress> sources;
  // Only if `sources` is empty.
  std::vector<IpAddress> excluded_sources;
  RelayCounters* counters = nullptr;
  std::vector<OutputAction> outputs;
  // Null: no limit.
  RateLimiter* limiter = nullptr;
  // Whether packets are passed on that come back as in a loop.
  bool keep_duplicates = false;
  // 0: every TTL is taken.
  uint8_t min_ttl = 0;
};

// All relays of one input, immutable. IPv4 addresses are keys themselves; IPv6 addresses that rules
// name are numbered, and the numbers are keys, so that a packet with others is told by one probe.
class RuleTable final {
 public:
  explicit RuleTable(std::span<const Rule> rules);
  RuleTable(const RuleTable&) = delete;
  RuleTable& operator=(const RuleTable&) = delete;

  // Calls `visit(const RuleMatch&)` for every relay that wants the datagram; returns how many there
  // were. IPv4.
  template <typename Visit>
  size_t match(uint32_t group, uint16_t port, uint32_t source, uint16_t vlan, Visit&& visit) const {
    return ipv4_.match(group, port, source, vlan, visit);
  }
  // As above, for the IPv6 packet at `ip`.
  template <typename Visit>
  size_t match_ipv6(const uint8_t* ip, uint16_t port, uint16_t vlan, Visit&& visit) const {
    const uint32_t group = numbers_.find(IpAddress::ipv6(ip + kIpv6Destination));
    if (group == AddressNumbers::kNone) return 0;
    // A source that no rule names has number 0, which is wanted by no rule with sources, and
    // excluded by none.
    const uint32_t source = numbers_.find(IpAddress::ipv6(ip + kIpv6Source));
    return ipv6_.match(group, port, source, vlan, visit);
  }

  // Whether a relay wants some of what is sent to this destination in this VLAN.
  [[nodiscard]] bool wants(uint32_t group, uint16_t vlan) const { return ipv4_.wants(group, vlan); }
  // As above, for the IPv6 packet at `ip`.
  [[nodiscard]] bool wants_ipv6(const uint8_t* ip, uint16_t vlan) const {
    const uint32_t group = numbers_.find(IpAddress::ipv6(ip + kIpv6Destination));
    return group != AddressNumbers::kNone && ipv6_.wants(group, vlan);
  }
  // Whether a relay drops packets that come back.
  [[nodiscard]] bool drops_duplicates() const { return drops_duplicates_; }
  // Whether a relay wants anything of this VLAN.
  [[nodiscard]] bool wants_vlan(uint16_t vlan) const {
    return ipv4_.wants_vlan(vlan) || ipv6_.wants_vlan(vlan);
  }

 private:
  [[nodiscard]] std::vector<IndexedRule> index_rules(std::span<const Rule> rules, bool ipv4) const;

  const bool drops_duplicates_;
  // Of all rules: what they match with points here.
  const std::vector<OutputAction> outputs_;
  const AddressNumbers numbers_;
  const RuleIndex ipv4_;
  const RuleIndex ipv6_;
};

}  // namespace mcfleet
