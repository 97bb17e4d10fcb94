#pragma once

#include "base/result.h"
#include "base/unique_fd.h"
#include "ring/filter.h"

namespace mcfleet {

// What may wait for a slow device belongs to the socket; what exceeds this is dropped and counted
// as tx_full.
inline constexpr int kSendBufferBytes = 32 << 20;

// Sets an integer option.
Status set_option(int fd, int level, int option, int value, const char* name);

// Lets this many bytes wait to be sent: what the kernel charges for packets, which is more than
// their size. Beyond net.core.wmem_max where CAP_NET_ADMIN allows; otherwise as much as the system
// gives. False with errno set if it fails.
bool resize_send_buffer(int fd, int bytes);

// Replaces the socket's filter in one step (SO_ATTACH_FILTER): no packet sees none.
Status attach_filter(int fd, const Filter& filter);

// A socket that sends whole frames out of one interface, each preceded by a VnetHeader, and
// receives nothing.
Result<UniqueFd> open_frame_sender(int ifindex);

// Whether a packet socket is still bound to the interface that it was opened for. The kernel
// unbinds it when that goes, also if another one has its index by now (packet_notifier,
// net/packet/af_packet.c).
bool is_bound_to(int fd, int ifindex);

// A socket that sends IP packets of one family (AF_INET or AF_INET6) with their headers as given,
// routed and resolved by the kernel, out of one interface only. Receives nothing.
Result<UniqueFd> open_packet_sender(int ifindex, int family);

// Whether this kernel speaks IPv6 at all (ipv6.disable).
bool kernel_speaks_ipv6();

}  // namespace mcfleet
