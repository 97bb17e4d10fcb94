#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "packet/ip_address.h"

namespace mcfleet::mroute {

// Interfaces of a table are named by their place in it. MAXVIFS of linux/mroute.h and MAXMIFS of
// linux/mroute6.h.
using Slot = std::uint16_t;
inline constexpr std::size_t kSlots = 32;

// The TTL threshold of every slot: a packet leaves there if its TTL on arrival is greater. 0: no
// output. 255 is none as well, and not used.
using Thresholds = std::array<std::uint8_t, kSlots>;

// One entry of a table's forwarding cache, as the kernel takes it.
struct CacheEntry final {
  // None: any.
  IpAddress source;
  IpAddress group;
  // The kernel's "parent".
  Slot input = 0;
  Thresholds thresholds{};

  friend bool operator==(const CacheEntry&, const CacheEntry&) = default;
};

}  // namespace mcfleet::mroute
