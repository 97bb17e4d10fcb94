#include "mroute/multicast_route.h"

#include <string>

#include "mroute/route_text.h"

namespace mcfleet::mroute {

namespace {

// Groups that stay on their link or host, whatever a route says (ipv4_is_local_multicast,
// ip6_mr_input).
bool never_routed(Family family, const IpAddress& group) {
  if (family == Family::ipv4) return group.ipv4() >> 8 == 0xe00000;
  return (group.high() >> 48 & 0xf) <= 2;
}

bool of_family(Family family, const IpAddress& address) {
  return address.none() || address.is_ipv4() == (family == Family::ipv4);
}

}  // namespace

RouteKey key_of(const MulticastRoute& route) {
  return {route.source, route.group, route.source.none() ? route.input : 0};
}

Status validate(Family family, const MulticastRoute& route) {
  const std::string what = "write route " + route_text(family, route.source, route.group) + ": ";
  if (!of_family(family, route.source) || !of_family(family, route.group))
    return Error{EINVAL, "write a route: its addresses are not of the table's family"};
  if (route.source.is_group()) return Error{EINVAL, what + "the source is a multicast group"};
  if (route.group.none() && !route.source.none())
    return Error{EINVAL, what + "a route for any group takes any source"};
  if (!route.group.none() && !route.group.is_group())
    return Error{EINVAL, what + "the group is no multicast address"};
  if (!route.group.none() && never_routed(family, route.group)) {
    return Error{EOPNOTSUPP, what +
                                 "the kernel never routes groups of link-local scope; use the "
                                 "userspace engine"};
  }
  if (route.input <= 0) return Error{EINVAL, what + "it has no input interface"};
  for (const auto& [ifindex, threshold] : route.outputs) {
    if (ifindex <= 0) return Error{EINVAL, what + "an output is no interface"};
    if (threshold < 1 || threshold > 254)
      return Error{EINVAL, what + "the TTL threshold must be from 1 to 254"};
    if (family == Family::ipv6 && threshold != 1) {
      return Error{EOPNOTSUPP, what +
                                   "the kernel has no hop limit threshold but 1 for IPv6; use "
                                   "that, or the userspace engine"};
    }
  }
  if (!route.group.none()) return {};
  if (route.outputs.size() != 1 || route.outputs.contains(route.input)) {
    return Error{EOPNOTSUPP, what +
                                 "for any group the kernel knows one output, other than the "
                                 "input; use the userspace engine"};
  }
  return {};
}

CacheEntry to_entry(const MulticastRoute& route, const std::function<Slot(int ifindex)>& slot_of) {
  CacheEntry entry;
  entry.source = route.source;
  entry.group = route.group;
  entry.input = slot_of(route.input);
  for (const auto& [ifindex, threshold] : route.outputs)
    entry.thresholds[slot_of(ifindex)] = threshold;
  if (!route.source.none()) {
    // The kernel would send a packet back to where it came from.
    entry.thresholds[entry.input] = 0;
  } else {
    // An entry of any source is found only by interfaces that it lists, and does not send back.
    entry.thresholds[entry.input] = 1;
    // One of any group takes packets from the interfaces it lists to its parent, and nowhere else.
    if (route.group.none()) entry.input = slot_of(route.outputs.begin()->first);
  }
  return entry;
}

}  // namespace mcfleet::mroute
