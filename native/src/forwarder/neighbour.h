#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "netlink/attributes.h"

namespace mcfleet {

// What the kernel knows of a neighbour's link-layer address (the NUD_* states).
enum class Resolution : uint8_t {
  // Nothing, or it is asking.
  kUnresolved,
  // It asked, and got no answer.
  kFailed,
  // It knows it, but has not heard from the neighbour for some time. What is sent through the
  // kernel's own path makes it ask again.
  kStale,
  kKnown,
};

struct Neighbour {
  int ifindex = 0;
  uint32_t address = 0;
  Resolution resolution = Resolution::kUnresolved;
  // In the low 48 bits, if it is known or stale.
  uint64_t mac = 0;

  [[nodiscard]] bool usable() const {
    return resolution == Resolution::kKnown || resolution == Resolution::kStale;
  }
};

// Asks the kernel. A neighbour that it has never heard of is unresolved.
Neighbour read_neighbour(int ifindex, uint32_t address);

// The payload of RTM_NEWNEIGH or, if `gone`, RTM_DELNEIGH. None if it is malformed or not IPv4.
std::optional<Neighbour> parse_neighbour(netlink::Bytes payload, bool gone);

// The neighbour to which the kernel hands packets to `destination` out of this interface: the
// destination itself or a gateway. None if it does more than that: several next hops, a tunnel, an
// MTU of the route, a destination that is no other host.
std::optional<uint32_t> find_next_hop(int ifindex, uint32_t destination);
// The payload of RTM_NEWROUTE.
std::optional<uint32_t> parse_next_hop(netlink::Bytes payload, int ifindex, uint32_t destination);

}  // namespace mcfleet
