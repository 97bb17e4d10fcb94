#pragma once

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "netlink/attributes.h"
#include "netlink/queue_disciplines.h"

namespace mcfleet {

// The root queue discipline of an interface, which counts what is lost in those below it as well.
struct RootQueue {
  // Whether packets wait there, as everywhere but on virtual devices (noqueue).
  bool holds = false;
  // Another one after it was replaced, if it was given one.
  uint32_t handle = 0;
  // Modulo 2^32 (struct gnet_stats_queue).
  uint32_t drops = 0;

  bool operator==(const RootQueue&) const = default;
};

// What the kernel itself counts of packets that it lost on their way out of one interface, whoever
// sent them.
struct InterfaceStatistics {
  int ifindex = 0;
  std::string name;
  // Of the device (struct rtnl_link_stats64).
  uint64_t tx_dropped = 0;
  uint64_t tx_errors = 0;
  // None before the interface was first up, and if the dump missed it.
  std::optional<RootQueue> queue;

  bool operator==(const InterfaceStatistics&) const = default;
};

// Of these interfaces, without those that are not there. One dump of interfaces and one of queue
// disciplines, however many are wanted.
Result<std::vector<InterfaceStatistics>> read_interface_statistics(const std::set<int>& wanted);

// The payload of RTM_NEWLINK, with nothing of the queue. None if it is truncated.
std::optional<InterfaceStatistics> parse_interface_statistics(netlink::Bytes payload);
// Takes it in, if it is the root of `statistics`' interface. False if that does not tell its drops.
bool take_root_queue(const netlink::QueueDiscipline& queue, InterfaceStatistics& statistics);

}  // namespace mcfleet
