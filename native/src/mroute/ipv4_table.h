#pragma once

#include "mroute/multicast_table.h"

namespace mcfleet::mroute {

// By MRT_* (linux/mroute.h, net/ipv4/ipmr.c).
class Ipv4Table final : public MulticastTable {
 public:
  Ipv4Table(std::uint32_t id, UniqueFd socket, const KernelCalls& calls)
      : MulticastTable(Family::ipv4, id, std::move(socket), calls) {}

  [[nodiscard]] Status add_interface(Slot slot, int ifindex) override;
  [[nodiscard]] Status remove_interface(Slot slot) override;
  [[nodiscard]] Result<SlotCounters> counters(Slot slot) const override;
  [[nodiscard]] Status set(const CacheEntry& entry) override;
  [[nodiscard]] Status remove(const CacheEntry& entry) override;
};

}  // namespace mcfleet::mroute
