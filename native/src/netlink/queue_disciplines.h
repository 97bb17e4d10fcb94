#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "netlink/attributes.h"

namespace mcfleet::netlink {

// One queue discipline of an interface: its root, or one below a class or a hardware queue.
struct QueueDiscipline final {
  int ifindex = 0;
  // TC_H_ROOT of the root.
  std::uint32_t parent = 0;
  std::uint32_t handle = 0;
  // "noqueue", "fq_codel", "tbf", ...
  std::string kind;
  // Packets that it lost, modulo 2^32 (struct gnet_stats_queue). None if the message does not tell.
  std::optional<std::uint32_t> drops;

  bool operator==(const QueueDiscipline&) const = default;
};

// The payload of RTM_NEWQDISC or RTM_DELQDISC. None if it is truncated or has no kind.
[[nodiscard]] std::optional<QueueDiscipline> parse_queue_discipline(Bytes payload);

// All of this network namespace that `tc qdisc show` shows: that leaves out the pfifo or bfifo that
// the kernel puts below a class by itself. Without any, also where the kernel has none
// (CONFIG_NET_SCHED). Blocks for the kernel's answer (microseconds).
[[nodiscard]] Result<std::vector<QueueDiscipline>> dump_queue_disciplines();

}  // namespace mcfleet::netlink
