#include "mroute/slot_map.h"

#include <algorithm>

namespace mcfleet::mroute {

std::optional<SlotMap::Taken> SlotMap::take(int ifindex) {
  std::optional<std::size_t> free;
  for (std::size_t slot = 0; slot < slots_.size(); slot++) {
    Place& place = slots_[slot];
    if (place.routes > 0 && place.ifindex == ifindex) {
      place.routes++;
      return Taken{static_cast<Slot>(slot), false};
    }
    if (!free && place.routes == 0 && !place.quarantined) free = slot;
  }
  if (!free) return std::nullopt;
  slots_[*free] = {ifindex, 1, false};
  return Taken{static_cast<Slot>(*free), true};
}

void SlotMap::release(Slot slot) {
  Place& place = slots_[slot];
  if (--place.routes > 0) return;
  place.ifindex = 0;
  place.quarantined = true;
}

void SlotMap::end_quarantine() {
  for (Place& place : slots_) place.quarantined = false;
}

std::size_t SlotMap::quarantined() const {
  return static_cast<std::size_t>(std::ranges::count_if(slots_, &Place::quarantined));
}

}  // namespace mcfleet::mroute
