#pragma once

#include "mroute/multicast_table.h"

namespace mcfleet::mroute {

// By MRT6_* (linux/mroute6.h, net/ipv6/ip6mr.c). Refuses what the kernel would do wrong in silence.
class Ipv6Table final : public MulticastTable {
 public:
  Ipv6Table(std::uint32_t id, UniqueFd socket, const KernelCalls& calls)
      : MulticastTable(Family::ipv6, id, std::move(socket), calls) {}

  [[nodiscard]] Status add_interface(Slot slot, int ifindex) override;
  [[nodiscard]] Status remove_interface(Slot slot) override;
  [[nodiscard]] Result<SlotCounters> counters(Slot slot) const override;
  [[nodiscard]] Status set(const CacheEntry& entry) override;
  [[nodiscard]] Status remove(const CacheEntry& entry) override;
};

}  // namespace mcfleet::mroute
