#include "forwarder/memberships.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "ring/packet_socket.h"

namespace mcfleet {
namespace {

// What one socket may hold; a system that allows less says so, and the next socket is tried.
struct Limits {
  size_t groups;
  size_t sources_per_group;
};
// Defaults of net.ipv4.igmp_max_memberships and igmp_max_msf.
constexpr Limits kIpv4Limits{20, 10};
// Default of net.ipv6.mld_max_msf. Groups are bounded by net.core.optmem_max alone, of which 64
// with some sources each take a part.
constexpr Limits kIpv6Limits{64, 64};

const Limits& limits_of(const IpAddress& group) {
  return group.is_ipv4() ? kIpv4Limits : kIpv6Limits;
}

// The socket is full, not the system (ip_mc_join_group, ipv6_sock_mc_join).
bool says_full(int error) {
  return error == ENOBUFS || error == ENOMEM;
}

void set_address(sockaddr_storage& storage, const IpAddress& address) {
  if (address.is_ipv4()) {
    sockaddr_in in{};
    in.sin_family = AF_INET;
    in.sin_addr.s_addr = htonl(address.ipv4());
    std::memcpy(&storage, &in, sizeof(in));
    return;
  }
  sockaddr_in6 in6{};
  in6.sin6_family = AF_INET6;
  address.write_ipv6(in6.sin6_addr.s6_addr);
  std::memcpy(&storage, &in6, sizeof(in6));
}

int change(int fd, const Membership& membership, bool join) {
  const int level = membership.group.is_ipv4() ? IPPROTO_IP : IPPROTO_IPV6;
  if (membership.source.none()) {
    group_req request{};
    request.gr_interface = static_cast<uint32_t>(membership.ifindex);
    set_address(request.gr_group, membership.group);
    return setsockopt(fd, level, join ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP, &request,
                      sizeof(request));
  }
  group_source_req request{};
  request.gsr_interface = static_cast<uint32_t>(membership.ifindex);
  set_address(request.gsr_group, membership.group);
  set_address(request.gsr_source, membership.source);
  return setsockopt(fd, level, join ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP, &request,
                    sizeof(request));
}

// An unbound socket: it only holds memberships, and must never queue a packet.
Result<UniqueFd> open_membership_socket(bool ipv4) {
  UniqueFd fd(socket(ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Error::from_errno("open a socket for group memberships");
  if (Status status = attach_filter(fd.get(), drop_all_filter()); !status.ok())
    return status.error();
  const Status own_only =
      ipv4 ? set_option(fd.get(), IPPROTO_IP, IP_MULTICAST_ALL, 0, "IP_MULTICAST_ALL")
           : set_option(fd.get(), IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0, "IPV6_MULTICAST_ALL");
  if (!own_only.ok()) return own_only.error();
  return fd;
}

std::string describe(const Membership& membership) {
  const auto text = [](const IpAddress& address) {
    char buffer[INET6_ADDRSTRLEN] = {};
    sockaddr_storage storage{};
    set_address(storage, address);
    const void* bytes =
        address.is_ipv4()
            ? static_cast<const void*>(&reinterpret_cast<sockaddr_in*>(&storage)->sin_addr)
            : &reinterpret_cast<sockaddr_in6*>(&storage)->sin6_addr;
    return std::string(inet_ntop(storage.ss_family, bytes, buffer, sizeof(buffer)));
  };
  std::string result = "join group " + text(membership.group);
  if (!membership.source.none()) result += " from source " + text(membership.source);
  return result + " on interface index " + std::to_string(membership.ifindex);
}

}  // namespace

Status Memberships::join(const Membership& membership) {
  Held& held = held_[membership];
  if (held.references > 0) {
    held.references++;
    return {};
  }
  const Result<int> socket = join_somewhere(membership);
  if (!socket.ok()) {
    held_.erase(membership);
    return socket.error();
  }
  held.references = 1;
  held.socket = socket.value();
  return {};
}

void Memberships::leave(const Membership& membership) {
  const auto found = held_.find(membership);
  if (found == held_.end() || --found->second.references > 0) return;
  const auto socket = sockets_.find(found->second.socket);
  held_.erase(found);
  // Works for an interface that is gone as well: the kernel finds the membership by its index
  // (ip_mc_leave_group).
  change(socket->second.fd.get(), membership, false);
  socket->second.full = false;
  const auto group = socket->second.groups.find({membership.ifindex, membership.group});
  if (group->second <= 1) {
    socket->second.groups.erase(group);
  } else {
    group->second--;
  }
  if (socket->second.groups.empty()) sockets_.erase(socket);
}

void Memberships::rejoin(int ifindex) {
  for (auto held = held_.lower_bound({ifindex, {}, {}});
       held != held_.end() && held->first.ifindex == ifindex; held++) {
    const int fd = held->second.socket;
    change(fd, held->first, false);
    // It was possible before; if it is not now, packets still come where no switch and no address
    // filter is in the way.
    change(fd, held->first, true);
  }
}

bool Memberships::has_room(const Socket& socket, const Membership& membership) {
  if (socket.ipv4 != membership.group.is_ipv4()) return false;
  const Limits& limits = limits_of(membership.group);
  const auto group = socket.groups.find({membership.ifindex, membership.group});
  if (group == socket.groups.end()) {
    return !socket.full && socket.groups.size() < limits.groups;
  }
  // One socket takes a group either from any source or from some: the other kind goes to another
  // socket.
  return !membership.source.none() && group->second != 0 &&
         group->second < limits.sources_per_group;
}

Result<int> Memberships::join_somewhere(const Membership& membership) {
  const std::pair key{membership.ifindex, membership.group};
  for (auto& [fd, socket] : sockets_) {
    if (!has_room(socket, membership)) continue;
    if (change(fd, membership, true) == 0) {
      socket.groups[key] += membership.source.none() ? 0 : 1;
      return fd;
    }
    if (!says_full(errno)) return Error::from_errno(describe(membership));
    socket.full = true;
  }
  Result<UniqueFd> opened = open_membership_socket(membership.group.is_ipv4());
  if (!opened.ok()) return opened.error();
  const int fd = opened.value().get();
  if (change(fd, membership, true) != 0) return Error::from_errno(describe(membership));
  Socket& socket = sockets_[fd];
  socket.fd = std::move(opened.value());
  socket.groups[key] = membership.source.none() ? 0 : 1;
  socket.ipv4 = membership.group.is_ipv4();
  return fd;
}

}  // namespace mcfleet
