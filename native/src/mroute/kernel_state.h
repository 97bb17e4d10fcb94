#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "base/result.h"
#include "mroute/cache_entry.h"
#include "mroute/multicast_table.h"
#include "netlink/attributes.h"

// What the kernel says it has, read by netlink from the calling thread's network namespace. Needs
// no socket of the tables and no capability.
namespace mcfleet::mroute {

struct KernelRoute final {
  std::uint32_t table = 0;
  // None: any.
  IpAddress source;
  IpAddress group;
  // Interface index. 0: its slot is empty.
  int input = 0;
  // The TTL threshold by interface index. Empty slots are left out, though the entry may name them.
  std::map<int, std::uint8_t> outputs;
  // All that matched the entry, those of wrong interfaces and too low TTL included.
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint64_t wrong_interface = 0;
  // Since it was last used.
  std::uint64_t idle_ms = 0;
  // No route, but packets that wait for one.
  bool unresolved = false;
  // Written by another socket than the table's owner; it stays when the owner goes.
  bool outlives_owner = false;
};

struct KernelInterface final {
  std::uint32_t table = 0;
  Slot slot = 0;
  int ifindex = 0;
  std::uint64_t packets_in = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t packets_out = 0;
  std::uint64_t bytes_out = 0;
};

// The payload of RTM_NEWROUTE of RTNL_FAMILY_IPMR or RTNL_FAMILY_IP6MR. None if it is truncated.
[[nodiscard]] std::optional<KernelRoute> parse_route(Family family, netlink::Bytes payload);

// The payload of RTM_NEWLINK of RTNL_FAMILY_IPMR: one table. False if it is truncated.
[[nodiscard]] bool parse_interfaces(netlink::Bytes payload, std::vector<KernelInterface>& found);

// Of all tables.
[[nodiscard]] Result<std::vector<KernelRoute>> dump_routes(Family family);

// The slots of all IPv4 tables; for IPv6 the kernel has no such dump.
[[nodiscard]] Result<std::vector<KernelInterface>> dump_interfaces();

}  // namespace mcfleet::mroute
