#include "ring/segment_socket.h"

#include <arpa/inet.h>
#include <linux/in6.h>
#include <net/if.h>
#include <netinet/udp.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>
#include <utility>

#include "packet/bytes.h"
#include "packet/ipv6_headers.h"
#include "packet/parse.h"
#include "ring/filter.h"
#include "ring/packet_socket.h"

namespace mcfleet {
namespace {

// A dummy address that is never a destination (RFC 7600, section 7).
constexpr uint32_t kNobody = 0xc0000008;  // 192.0.0.8
// Of the discard-only prefix 100::/64 (RFC 6666).
constexpr uint8_t kNobodyIpv6[16] = {1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};

constexpr size_t kFlowLabelMask = 0xfffff;
// What a message may hold.
constexpr uint32_t kLongestMessage = 65535;

struct Option {
  int level;
  int name;
  int value;
  const char* text;
};

// What is refused by a queue is told (IP_RECVERR), none is cut for a path MTU, and IPv6 leaves the
// flow label to us.
constexpr Option kOptionsIpv4[] = {
    {IPPROTO_IP, IP_TRANSPARENT, 1, "IP_TRANSPARENT"},
    {IPPROTO_IP, IP_RECVERR, 1, "IP_RECVERR"},
};
constexpr Option kOptionsIpv6[] = {
    {IPPROTO_IPV6, IPV6_TRANSPARENT, 1, "IPV6_TRANSPARENT"},
    {IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY"},
    {IPPROTO_IPV6, IPV6_RECVERR, 1, "IPV6_RECVERR"},
    {IPPROTO_IPV6, IPV6_DONTFRAG, 1, "IPV6_DONTFRAG"},
    {IPPROTO_IPV6, IPV6_FLOWINFO_SEND, 1, "IPV6_FLOWINFO_SEND"},
    {IPPROTO_IPV6, IPV6_AUTOFLOWLABEL, 0, "IPV6_AUTOFLOWLABEL"},
};

Status set_all(int fd, std::span<const Option> options) {
  for (const auto& [level, name, value, text] : options) {
    if (Status status = set_option(fd, level, name, value, text); !status.ok()) return status;
  }
  return {};
}

int bind_to_nobody(int fd, int family, uint16_t port) {
  if (family == AF_INET) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(kNobody);
    return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(port);
  std::memcpy(&address.sin6_addr, kNobodyIpv6, sizeof(kNobodyIpv6));
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

std::string read_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace

LocalPorts::LocalPorts(const char* range, const char* reserved) : reserved_(reserved) {
  int first = 0;
  int last = 0;
  if (std::sscanf(range, "%d %d", &first, &last) != 2) return;
  first_ = first;
  last_ = last;
}

LocalPorts LocalPorts::read() {
  return {read_line("/proc/sys/net/ipv4/ip_local_port_range").c_str(),
          read_line("/proc/sys/net/ipv4/ip_local_reserved_ports").c_str()};
}

bool LocalPorts::holds(uint16_t port) const {
  if (port < first_ || port > last_) return false;
  // "8080,9148-9150"
  for (const char* at = reserved_.c_str(); *at != '\0';) {
    char* end = nullptr;
    const long from = std::strtol(at, &end, 10);
    const long to = *end == '-' ? std::strtol(end + 1, &end, 10) : from;
    // Not what the kernel writes: nothing is known then.
    if (end == at || (port >= from && port <= to)) return false;
    at = *end == ',' ? end + 1 : end;
  }
  return true;
}

Result<TrackedSocket> open_segment_socket(int ifindex, int family, uint16_t port) {
  UniqueFd fd(socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Error::from_errno("open a UDP socket");
  if (Status status = attach_filter(fd.get(), drop_all_filter()); !status.ok())
    return status.error();
  const Status set =
      family == AF_INET ? set_all(fd.get(), kOptionsIpv4) : set_all(fd.get(), kOptionsIpv6);
  if (!set.ok()) return set.error();
  // Several receivers and workers send from one port.
  if (Status status = set_option(fd.get(), SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR");
      !status.ok()) {
    return status.error();
  }
  char name[IF_NAMESIZE] = {};
  if (if_indextoname(static_cast<unsigned>(ifindex), name) == nullptr) {
    return Error{ENODEV, "find interface index " + std::to_string(ifindex)};
  }
  if (setsockopt(fd.get(), SOL_SOCKET, SO_BINDTODEVICE, name, sizeof(name)) != 0) {
    return Error::from_errno(std::string("setsockopt SO_BINDTODEVICE ") + name);
  }
  if (bind_to_nobody(fd.get(), family, port) != 0) return Error::from_errno("bind a UDP socket");
  Result<TrackedSocket> tracked = track(std::move(fd), ifindex, family, kLongestMessage);
  if (!tracked.ok()) return tracked.error();
  tracked.value().port = port;
  return tracked;
}

SegmentMessage::SegmentMessage(const uint8_t* ip, uint16_t segment_size) {
  header_.msg_control = control_;
  header_.msg_controllen = sizeof(control_);
  std::memset(control_, 0, sizeof(control_));
  size_t used = 0;
  const auto add = [&](int level, int type, const auto& value) {
    auto* part = reinterpret_cast<cmsghdr*>(control_ + used);
    part->cmsg_level = level;
    part->cmsg_type = type;
    part->cmsg_len = CMSG_LEN(sizeof(value));
    std::memcpy(CMSG_DATA(part), &value, sizeof(value));
    used += CMSG_SPACE(sizeof(value));
  };
  if (ip[0] >> 4 == 6) {
    ipv6_ = {};
    ipv6_.sin6_family = AF_INET6;
    ipv6_.sin6_port = htons(load16(ip + kIpv6Header + 2));
    ipv6_.sin6_flowinfo = htonl(load32(ip) & kFlowLabelMask);
    std::memcpy(&ipv6_.sin6_addr, ip + kIpv6Destination, kIpv6Address);
    header_.msg_name = &ipv6_;
    header_.msg_namelen = sizeof(ipv6_);
    in6_pktinfo from{};
    std::memcpy(&from.ipi6_addr, ip + kIpv6Source, kIpv6Address);
    add(IPPROTO_IPV6, IPV6_PKTINFO, from);
    add(IPPROTO_IPV6, IPV6_HOPLIMIT, int{ip[kIpv6HopLimit]});
    add(IPPROTO_IPV6, IPV6_TCLASS, static_cast<int>(load16(ip) >> 4 & 0xff));
  } else {
    ipv4_ = {};
    ipv4_.sin_family = AF_INET;
    ipv4_.sin_port = htons(load16(ip + kIpv4Header + 2));
    ipv4_.sin_addr.s_addr = htonl(load32(ip + 16));
    header_.msg_name = &ipv4_;
    header_.msg_namelen = sizeof(ipv4_);
    in_pktinfo from{};
    from.ipi_spec_dst.s_addr = htonl(load32(ip + 12));
    add(IPPROTO_IP, IP_PKTINFO, from);
    add(IPPROTO_IP, IP_TTL, int{ip[8]});
    type_of_service_ = ip[1];
  }
  add(IPPROTO_UDP, UDP_SEGMENT, segment_size);
  header_.msg_controllen = used;
}

const msghdr& SegmentMessage::with(std::span<const iovec> payload) {
  header_.msg_iov = const_cast<iovec*>(payload.data());
  header_.msg_iovlen = payload.size();
  return header_;
}

bool set_type_of_service(int fd, uint8_t type_of_service) {
  const int value = type_of_service;
  constexpr int kPriority = 0;
  // The first of them sets the other one as well (ip_sock_set_tos).
  return setsockopt(fd, IPPROTO_IP, IP_TOS, &value, sizeof(value)) == 0 &&
         setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &kPriority, sizeof(kPriority)) == 0;
}

}  // namespace mcfleet
