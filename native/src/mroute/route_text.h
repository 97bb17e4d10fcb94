#pragma once

#include <string>

#include "mroute/cache_entry.h"
#include "mroute/multicast_table.h"

namespace mcfleet::mroute {

// As `ip address` writes it.
[[nodiscard]] std::string address_text(Family family, const IpAddress& address);

// "(10.0.0.1, 239.1.1.1)", with * for any.
[[nodiscard]] std::string route_text(Family family, const IpAddress& source,
                                     const IpAddress& group);

}  // namespace mcfleet::mroute
