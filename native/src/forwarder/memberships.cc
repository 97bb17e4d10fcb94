#include "forwarder/memberships.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>

#include "ring/packet_socket.h"

namespace mcfleet {
namespace {

// Defaults of net.ipv4.igmp_max_memberships and igmp_max_msf; a system that allows less says
// ENOBUFS, and the next socket is tried.
constexpr size_t kGroupsPerSocket = 20;
constexpr size_t kSourcesPerGroup = 10;

void set_address(sockaddr_storage& storage, uint32_t address) {
  sockaddr_in in{};
  in.sin_family = AF_INET;
  in.sin_addr.s_addr = htonl(address);
  std::memcpy(&storage, &in, sizeof(in));
}

int change(int fd, const Membership& membership, bool join) {
  if (membership.source == 0) {
    group_req request{};
    request.gr_interface = static_cast<uint32_t>(membership.ifindex);
    set_address(request.gr_group, membership.group);
    return setsockopt(fd, IPPROTO_IP, join ? MCAST_JOIN_GROUP : MCAST_LEAVE_GROUP, &request,
                      sizeof(request));
  }
  group_source_req request{};
  request.gsr_interface = static_cast<uint32_t>(membership.ifindex);
  set_address(request.gsr_group, membership.group);
  set_address(request.gsr_source, membership.source);
  return setsockopt(fd, IPPROTO_IP, join ? MCAST_JOIN_SOURCE_GROUP : MCAST_LEAVE_SOURCE_GROUP,
                    &request, sizeof(request));
}

// An unbound socket: it only holds memberships, and must never queue a packet.
Result<UniqueFd> open_membership_socket() {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Error::from_errno("open a socket for group memberships");
  if (Status status = attach_filter(fd.get(), drop_all_filter()); !status.ok())
    return status.error();
  if (Status status = set_option(fd.get(), IPPROTO_IP, IP_MULTICAST_ALL, 0, "IP_MULTICAST_ALL");
      !status.ok()) {
    return status.error();
  }
  return fd;
}

std::string describe(const Membership& membership) {
  const auto text = [](uint32_t address) {
    char buffer[INET_ADDRSTRLEN] = {};
    const in_addr in{htonl(address)};
    return std::string(inet_ntop(AF_INET, &in, buffer, sizeof(buffer)));
  };
  std::string result = "join group " + text(membership.group);
  if (membership.source != 0) result += " from source " + text(membership.source);
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
  for (auto held = held_.lower_bound({ifindex, 0, 0});
       held != held_.end() && held->first.ifindex == ifindex; held++) {
    const int fd = held->second.socket;
    change(fd, held->first, false);
    // It was possible before; if it is not now, packets still come where no switch and no address
    // filter is in the way.
    change(fd, held->first, true);
  }
}

bool Memberships::has_room(const Socket& socket, const Membership& membership) {
  const auto group = socket.groups.find({membership.ifindex, membership.group});
  if (group == socket.groups.end()) {
    return !socket.full && socket.groups.size() < kGroupsPerSocket;
  }
  // One socket takes a group either from any source or from some: the other kind goes to another
  // socket.
  return membership.source != 0 && group->second != 0 && group->second < kSourcesPerGroup;
}

Result<int> Memberships::join_somewhere(const Membership& membership) {
  const std::pair key{membership.ifindex, membership.group};
  for (auto& [fd, socket] : sockets_) {
    if (!has_room(socket, membership)) continue;
    if (change(fd, membership, true) == 0) {
      socket.groups[key] += membership.source != 0 ? 1 : 0;
      return fd;
    }
    if (errno != ENOBUFS) return Error::from_errno(describe(membership));
    socket.full = true;
  }
  Result<UniqueFd> opened = open_membership_socket();
  if (!opened.ok()) return opened.error();
  const int fd = opened.value().get();
  if (change(fd, membership, true) != 0) return Error::from_errno(describe(membership));
  Socket& socket = sockets_[fd];
  socket.fd = std::move(opened.value());
  socket.groups[key] = membership.source != 0 ? 1 : 0;
  return fd;
}

}  // namespace mcfleet
