#pragma once

#include <map>
#include <optional>

#include "base/result.h"
#include "netlink/attributes.h"

namespace mcfleet::netlink {

// Where an interface stands among others of this network namespace. 0: there is none.
struct LinkPosition final {
  int ifindex = 0;
  // Through which it sends: of a VLAN, a macvlan, a tunnel that is bound to a device.
  int lower = 0;
  // Whose port it is: a bridge, a bond, a team.
  int master = 0;

  bool operator==(const LinkPosition&) const = default;
};

// The payload of RTM_NEWLINK. None if it is truncated.
[[nodiscard]] std::optional<LinkPosition> parse_link_position(Bytes payload);

// Each interface that sends through others of this network namespace, with each of those. Blocks
// for the kernel's answer (microseconds).
[[nodiscard]] Result<std::multimap<int, int>> dump_lower_devices();

}  // namespace mcfleet::netlink
