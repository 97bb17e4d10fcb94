#pragma once

#include <cstdint>
#include <functional>
#include <map>

#include "base/result.h"
#include "mroute/cache_entry.h"
#include "mroute/multicast_table.h"

namespace mcfleet::mroute {

// Packets of a group that arrive on one interface leave by others.
struct MulticastRoute final {
  // None: any.
  IpAddress source;
  // None, with any source: any group.
  IpAddress group;
  // Interface index.
  int input = 0;
  // The TTL threshold (1 to 254; 1 only for IPv6) by interface index. A packet leaves if it arrived
  // with a greater TTL. None: packets that match are dropped.
  std::map<int, std::uint8_t> outputs;

  friend bool operator==(const MulticastRoute&, const MulticastRoute&) = default;
};

// What names a route in its table: only routes of any source may differ by the input alone.
struct RouteKey final {
  IpAddress source;
  IpAddress group;
  // 0 with an exact source.
  int input = 0;

  auto operator<=>(const RouteKey&) const = default;
};
[[nodiscard]] RouteKey key_of(const MulticastRoute& route);

// Whether the kernel can do that. EINVAL: it makes no sense. EOPNOTSUPP: the userspace engine can.
[[nodiscard]] Status validate(Family family, const MulticastRoute& route);

// As the kernel takes a valid route, with the slots of its interfaces.
[[nodiscard]] CacheEntry to_entry(const MulticastRoute& route,
                                  const std::function<Slot(int ifindex)>& slot_of);

}  // namespace mcfleet::mroute
