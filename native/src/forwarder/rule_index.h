#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

#include "base/counters.h"
#include "forwarder/rate_limiter.h"
#include "packet/rewrite.h"

namespace mcfleet {

class EgressPorts;

// One copy to make of a matching packet. What is pointed to outlives every table that points there.
// Counters are those of the first worker, with those of the others behind them.
struct OutputAction {
  Rewrite rewrite;
  // Null: its interface is not there.
  EgressPorts* ports = nullptr;
  OutputCounters* counters = nullptr;
  // Drops what is longer than the MTU, where it may be fragmented as well.
  bool drop_oversize = false;
};

// A relay that matched: its counters, and where its outputs are.
struct RuleMatch {
  RelayCounters* counters = nullptr;
  std::span<const OutputAction> outputs;
  // Sorted.
  std::span<const uint32_t> excluded_sources;
  // Null: no limit.
  RateLimiter* limiter = nullptr;
  bool keep_duplicates = false;
  uint8_t min_ttl = 0;

  [[nodiscard]] bool takes(uint32_t source) const {
    return excluded_sources.empty() ||
           !std::binary_search(excluded_sources.begin(), excluded_sources.end(), source);
  }
};

// A relay as the index is built from it. Addresses are IPv4 ones, or numbers of IPv6 ones.
struct IndexedRule {
  uint32_t group = 0;
  // 0: any.
  uint16_t port = 0;
  // 0: untagged.
  uint16_t vlan = 0;
  // Empty: any but those excluded.
  std::vector<uint32_t> sources;
  // Sorted; only if `sources` is empty.
  std::vector<uint32_t> excluded_sources;
  // What is found. Its `excluded_sources` are set by the index.
  RuleMatch match;
};

// All relays of one input and family, immutable. Flat hash table over (VLAN, group, port or any,
// source or any) with linear probing; at most four probes answer a packet, and all relays that
// match are found, so that overlapping ones all forward.
class RuleIndex final {
 public:
  explicit RuleIndex(std::span<const IndexedRule> rules);
  RuleIndex(const RuleIndex&) = delete;
  RuleIndex& operator=(const RuleIndex&) = delete;

  // Calls `visit(const RuleMatch&)` for every relay that wants the datagram; returns how many there
  // were.
  template <typename Visit>
  size_t match(uint32_t group, uint16_t port, uint32_t source, uint16_t vlan, Visit&& visit) const {
    size_t found = 0;
    // A relay has either one port or any, and either sources or any, so that no two probes find the
    // same one.
    for (unsigned shape = 0; shape < kShapes; shape++) {
      const bool any_port = (shape & kAnyPort) != 0;
      const bool any_source = (shape & kAnySource) != 0;
      if ((shapes_ & 1U << shape) == 0) continue;
      // Zero stands for any in keys; as a packet's own value it is wanted by no exact rule.
      if ((!any_port && port == 0) || (!any_source && source == 0)) continue;
      const Key key{group, any_source ? 0 : source, any_port ? uint16_t{0} : port, vlan};
      for (const RuleMatch& rule : find(key)) {
        if (!rule.takes(source)) continue;
        visit(rule);
        found++;
      }
    }
    return found;
  }

  [[nodiscard]] bool empty() const { return matches_.empty(); }
  // Whether a relay wants some of what is sent to this destination in this VLAN.
  [[nodiscard]] bool wants(uint32_t group, uint16_t vlan) const {
    return std::binary_search(groups_.begin(), groups_.end(), std::pair(vlan, group));
  }
  // Whether a relay wants anything of this VLAN.
  [[nodiscard]] bool wants_vlan(uint16_t vlan) const {
    const auto first = std::lower_bound(groups_.begin(), groups_.end(), std::pair(vlan, 0U));
    return first != groups_.end() && first->first == vlan;
  }

 private:
  static constexpr unsigned kAnyPort = 1;
  static constexpr unsigned kAnySource = 2;
  static constexpr unsigned kShapes = 4;

  struct Key {
    uint32_t group;
    uint32_t source;
    uint16_t port;
    uint16_t vlan;
    bool operator==(const Key&) const = default;
  };
  // count 0: empty.
  struct Slot {
    Key key;
    uint32_t first;
    uint32_t count;
  };

  [[nodiscard]] static size_t hash(const Key& key) {
    uint64_t value = uint64_t{key.group} << 32 | key.source;
    value ^= (uint64_t{key.vlan} << 16 | key.port) * 0x9e3779b97f4a7c15U;
    value *= 0xff51afd7ed558ccdU;
    value ^= value >> 32;
    value *= 0xc4ceb9fe1a85ec53U;
    return value ^ value >> 29;
  }
  [[nodiscard]] std::span<const RuleMatch> find(const Key& key) const {
    for (size_t i = hash(key) & mask_; slots_[i].count != 0; i = (i + 1) & mask_) {
      if (slots_[i].key == key) return {matches_.data() + slots_[i].first, slots_[i].count};
    }
    return {};
  }
  void insert(const Key& key, uint32_t first, uint32_t count);

  unsigned shapes_ = 0;
  size_t mask_ = 0;
  std::vector<Slot> slots_;
  // Grouped by key.
  std::vector<RuleMatch> matches_;
  std::vector<uint32_t> excluded_sources_;
  // Sorted.
  std::vector<std::pair<uint16_t, uint32_t>> groups_;
};

}  // namespace mcfleet
