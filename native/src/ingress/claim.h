#pragma once

#include <compare>
#include <cstdint>

#include "packet/ip_address.h"

namespace mcfleet {

// A destination whose UDP packets are kept from the host.
struct Claim {
  IpAddress address;
  // 0: any.
  uint16_t port = 0;

  auto operator<=>(const Claim&) const = default;
};

}  // namespace mcfleet
