#pragma once

#include <string>

#include "base/result.h"

namespace mcfleet::mroute {

// "eth0 (index 2)"; of one that is gone only the index.
[[nodiscard]] std::string interface_text(int ifindex);

// Whether multicast can be routed from and to it. ENODEV: there is no such interface. EOPNOTSUPP:
// it has no IFF_MULTICAST.
[[nodiscard]] Status check_multicast_interface(int ifindex);

}  // namespace mcfleet::mroute
