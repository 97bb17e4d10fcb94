#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "ring/filter.h"

namespace mcfleet {

// Sets an integer option.
Status set_option(int fd, int level, int option, int value, const char* name);

// Replaces the socket's filter in one step (SO_ATTACH_FILTER): no packet sees none.
Status attach_filter(int fd, const Filter& filter);

// A socket that sends whole frames out of one interface, each preceded by a VnetHeader, and
// receives nothing.
Result<UniqueFd> open_frame_sender(int ifindex);

// A socket that sends IP packets of one family (AF_INET or AF_INET6) with their headers as given,
// routed and resolved by the kernel, out of one interface only. Receives nothing.
Result<UniqueFd> open_packet_sender(int ifindex, int family);

// Whether this kernel speaks IPv6 at all (ipv6.disable).
bool kernel_speaks_ipv6();

}  // namespace mcfleet
