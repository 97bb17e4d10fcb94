#pragma once

#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "netlink/interface_facts.h"

namespace mcfleet::netlink {

// An rtnetlink socket of the calling thread's network namespace. `groups` is a mask of RTMGRP_*; 0
// for requests only.
[[nodiscard]] Result<UniqueFd> open_route_socket(unsigned groups);

// All interfaces with their addresses, by index, in one consistent dump. Blocks for the kernel's
// answer (microseconds).
[[nodiscard]] Result<std::vector<InterfaceFacts>> dump_interfaces();

}  // namespace mcfleet::netlink
