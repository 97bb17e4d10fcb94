#include "ring/packet_socket.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>

namespace mcfleet {

Status set_option(int fd, int level, int option, int value, const char* name) {
  if (setsockopt(fd, level, option, &value, sizeof(value)) == 0) return {};
  return Error::from_errno(std::string("setsockopt ") + name);
}

bool resize_send_buffer(int fd, int bytes) {
  // The kernel doubles it (sock_setsockopt).
  const int half = bytes / 2;
  return setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &half, sizeof(half)) == 0 ||
         setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &half, sizeof(half)) == 0;
}

Status attach_filter(int fd, const Filter& filter) {
  // The kernel copies the code; the interface is just not const.
  sock_fprog program{static_cast<uint16_t>(filter.code.size()),
                     const_cast<sock_filter*>(filter.code.data())};
  if (setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof(program)) == 0) return {};
  return Error::from_errno("setsockopt SO_ATTACH_FILTER (" + std::to_string(filter.code.size()) +
                           " instructions)");
}

Result<UniqueFd> open_frame_sender(int ifindex) {
  UniqueFd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Error::from_errno("open a packet socket for sending");
  if (Status status = set_option(fd.get(), SOL_PACKET, PACKET_VNET_HDR, 1, "PACKET_VNET_HDR");
      !status.ok()) {
    return status.error();
  }
  if (!resize_send_buffer(fd.get(), kSendBufferBytes)) {
    return Error::from_errno("setsockopt SO_SNDBUF");
  }
  // Protocol 0: the socket is bound for sending and hooked into no receive path.
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_ifindex = ifindex;
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return Error::from_errno("bind a packet socket to interface index " + std::to_string(ifindex));
  }
  return fd;
}

bool is_bound_to(int fd, int ifindex) {
  sockaddr_ll address{};
  socklen_t length = sizeof(address);
  return getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length) == 0 &&
         address.sll_ifindex == ifindex;
}

Result<UniqueFd> open_packet_sender(int ifindex, int family) {
  UniqueFd fd(socket(family, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_RAW));
  if (!fd.valid()) return Error::from_errno("open a raw socket for sending");
  // IPPROTO_RAW implies IP_HDRINCL (raw(7); rawv6_init_sk). It would still receive packets of
  // protocol 255.
  if (Status status = attach_filter(fd.get(), drop_all_filter()); !status.ok())
    return status.error();
  if (!resize_send_buffer(fd.get(), kSendBufferBytes)) {
    return Error::from_errno("setsockopt SO_SNDBUF");
  }
  // Without it a full device queue is told as success (raw_send_hdrinc, net/ipv4/raw.c;
  // rawv6_send_hdrinc). ICMP errors about our packets do not come here: they look for sockets of
  // protocol UDP (raw_icmp_error, raw6_icmp_error).
  const Status reporting =
      family == AF_INET ? set_option(fd.get(), IPPROTO_IP, IP_RECVERR, 1, "IP_RECVERR")
                        : set_option(fd.get(), IPPROTO_IPV6, IPV6_RECVERR, 1, "IPV6_RECVERR");
  if (!reporting.ok()) return reporting.error();
  char name[IF_NAMESIZE] = {};
  if (if_indextoname(static_cast<unsigned>(ifindex), name) == nullptr) {
    return Error{ENODEV, "find interface index " + std::to_string(ifindex)};
  }
  if (setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, name, sizeof(name)) != 0) {
    return Error::from_errno(std::string("setsockopt SO_BINDTODEVICE ") + name);
  }
  return fd;
}

bool kernel_speaks_ipv6() {
  return UniqueFd(socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)).valid();
}

}  // namespace mcfleet
