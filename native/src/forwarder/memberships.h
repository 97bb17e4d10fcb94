#pragma once

#include <cstdint>
#include <map>
#include <tuple>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "packet/ip_address.h"

namespace mcfleet {

// One wish to receive a group on an interface; no source: from any source.
struct Membership {
  int ifindex = 0;
  IpAddress group;
  IpAddress source;

  auto operator<=>(const Membership&) const = default;
};

// Holds group memberships, so that switches with snooping send the groups here and the
// interface's own filter lets them in. They are counted: the last leave() of a membership gives it
// up. Spread over sockets, of which each holds few of one family (igmp_max_memberships,
// igmp_max_msf; mld_max_msf, optmem_max). Control thread only; the calls may wait for the kernel's
// rtnl lock.
class Memberships final {
 public:
  // ENODEV: no such interface. ENOBUFS: the system allows no membership at all.
  Status join(const Membership& membership);
  void leave(const Membership& membership);
  // Joins everything on an interface again: one that was deleted and came back with the same index
  // knows nothing of it.
  void rejoin(int ifindex);

 private:
  struct Held {
    size_t references = 0;
    int socket = -1;
  };
  // What one socket holds: per interface and group the number of sources, 0 if it takes any.
  struct Socket {
    UniqueFd fd;
    bool ipv4 = true;
    std::map<std::pair<int, IpAddress>, size_t> groups;
    // The kernel said that it takes no more groups.
    bool full = false;
  };

  Result<int> join_somewhere(const Membership& membership);
  [[nodiscard]] static bool has_room(const Socket& socket, const Membership& membership);

  std::map<Membership, Held> held_;
  // By descriptor.
  std::map<int, Socket> sockets_;
};

}  // namespace mcfleet
