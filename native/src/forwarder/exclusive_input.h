#pragma once

#include <cstddef>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "forwarder/rule_table.h"
#include "ingress/claim.h"
#include "ingress/claimed_link.h"

namespace mcfleet {

// What the binding gives out; native/forwarder.ts documents the fields.
struct ExclusiveStatus {
  bool active = false;
  std::string reason;
  size_t destinations = 0;
  size_t shared_relays = 0;
  size_t left_out = 0;
};

// What the rules of an input take entirely: sorted, each once.
struct Claimable {
  std::vector<Claim> claims;
  // Rules that leave something of their destination to others.
  size_t shared_rules = 0;
};
Claimable claimable(const std::vector<Rule>& rules);

// Which of these interfaces the host gives packets of another one to, by the index of that other
// one: a bridge, a macvlan or a VLAN takes them through it. `lower`: netlink::dump_lower_devices().
std::map<int, int> interfaces_above(const std::vector<int>& ifindexes,
                                    const std::multimap<int, int>& lower);

// Keeps what relays take from one input interface from the host's own IP stack. What is kept from
// the host is at every time taken by a relay: rules that come first take, then claim; rules that go
// first give up. Where it cannot be had, relays forward as without, and the status says why.
//
// One control thread; status() may be called by others.
class ExclusiveInput final {
 public:
  explicit ExclusiveInput(int ifindex) : ifindex_(ifindex) {}
  ExclusiveInput(const ExclusiveInput&) = delete;
  ExclusiveInput& operator=(const ExclusiveInput&) = delete;

  // After the interface may have changed. `receives`: whether relays take packets from it.
  // `needed`: why the host needs its packets nevertheless; empty if it does not.
  void refresh(bool receives, const std::string& needed = {});
  // Before the rules are replaced: gives up what `next` does not take.
  void give_up(const std::vector<Rule>& next);
  // After they were replaced, and no packet goes by others any more.
  void claim(const std::vector<Rule>& rules);
  [[nodiscard]] ExclusiveStatus status() const;

 private:
  void open();
  void close(std::string reason);
  void put(const std::vector<Claim>& wanted);
  void report();

  const int ifindex_;
  std::optional<ClaimedLink> link_;
  // In the kernel's table. Sorted.
  std::vector<Claim> held_;
  // What rules take; it may not all have found room.
  Claimable wanted_;
  std::string reason_;
  mutable std::mutex reported_;
  ExclusiveStatus status_;
};

}  // namespace mcfleet
