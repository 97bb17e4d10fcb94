#pragma once

#include <cstdint>
#include <optional>

#include "base/result.h"
#include "netlink/attributes.h"
#include "packet/ip_address.h"

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
  IpAddress address;
  Resolution resolution = Resolution::kUnresolved;
  // In the low 48 bits; 0 if there is none, or none that frames can be sent to.
  uint64_t mac = 0;

  // Whether the kernel sends to it without asking.
  [[nodiscard]] bool usable() const {
    return resolution == Resolution::kKnown || resolution == Resolution::kStale;
  }
};

// Asks the kernel. A neighbour that it has never heard of is unresolved.
Neighbour read_neighbour(int ifindex, const IpAddress& address);

// The payload of RTM_NEWNEIGH or, if `gone`, RTM_DELNEIGH. None if it is malformed or of
// another family than IPv4 and IPv6.
std::optional<Neighbour> parse_neighbour(netlink::Bytes payload, bool gone);

// Where the kernel sends packets to one destination.
struct NextHop {
  // The neighbour that gets them: the destination itself or a gateway.
  IpAddress address;
  // Of the route; 0: that of the device.
  uint32_t mtu = 0;

  bool operator==(const NextHop&) const = default;
};

// The route to `destination` out of this interface. None if there is no one neighbour: several next
// hops, a tunnel, a gateway of the other family, a destination that is no other host.
std::optional<NextHop> find_next_hop(int ifindex, const IpAddress& destination);
// The payload of RTM_NEWROUTE.
std::optional<NextHop> parse_next_hop(netlink::Bytes payload, int ifindex,
                                      const IpAddress& destination);

}  // namespace mcfleet
