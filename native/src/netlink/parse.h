#pragma once

#include <optional>
#include <string>

#include "netlink/attributes.h"
#include "netlink/interface_facts.h"

namespace mcfleet::netlink {

// The payload of RTM_NEWLINK. None if it is truncated, or has no index or name.
[[nodiscard]] std::optional<InterfaceFacts> parse_link(Bytes payload);

struct InterfaceAddress final {
  int index = 0;
  std::string address;  // with prefix length
};

// The payload of RTM_NEWADDR, IPv4 or IPv6. None if it is truncated or of another family.
[[nodiscard]] std::optional<InterfaceAddress> parse_address(Bytes payload);

}  // namespace mcfleet::netlink
