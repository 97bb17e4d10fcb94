#pragma once

#include <cstddef>
#include <optional>
#include <vector>

#include "mroute/cache_entry.h"

namespace mcfleet::mroute {

// Which interface has which slot of one table, counted by the routes that name it. The kernel does
// not look at routes when a slot gets another interface: each that still names the slot would send
// there. So a slot that becomes free is in quarantine until the caller knows that no route names
// it. Pure bookkeeping; one thread.
class SlotMap final {
 public:
  // `count`: at most kSlots.
  explicit SlotMap(std::size_t count = kSlots) : slots_(count) {}

  struct Taken final {
    Slot slot;
    // It was free: the kernel has to be told of the interface.
    bool fresh;
  };
  // One more route names the interface. None: no slot is free.
  [[nodiscard]] std::optional<Taken> take(int ifindex);
  // One route less names the slot. After the last, it is in quarantine.
  void release(Slot slot);
  // The kernel took the interface out: it was deleted. Routes still name the slot; the interface
  // gets another one if it comes back.
  void lose(Slot slot) { slots_[slot].ifindex = 0; }
  // No route names the slots in quarantine any more.
  void end_quarantine();

  // 0: none.
  [[nodiscard]] int interface_of(Slot slot) const { return slots_[slot].ifindex; }
  // How many routes name it.
  [[nodiscard]] std::size_t routes(Slot slot) const { return slots_[slot].routes; }
  [[nodiscard]] std::size_t count() const { return slots_.size(); }
  [[nodiscard]] std::size_t quarantined() const;

 private:
  struct Place final {
    // 0: none, or lost.
    int ifindex = 0;
    std::size_t routes = 0;
    bool quarantined = false;
  };

  std::vector<Place> slots_;
};

}  // namespace mcfleet::mroute
