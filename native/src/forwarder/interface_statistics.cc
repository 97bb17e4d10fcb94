#include "forwarder/interface_statistics.h"

#include <linux/if_link.h>
#include <linux/netlink.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <map>

#include "netlink/request.h"

namespace mcfleet {

using netlink::Attribute;
using netlink::Bytes;
using netlink::Message;
using netlink::Request;

namespace {

// The beginning of struct rtnl_link_stats64, which grows with the kernel.
struct LinkStatistics {
  std::array<uint64_t, 5> before;
  uint64_t tx_errors;
  uint64_t rx_dropped;
  uint64_t tx_dropped;
};
static_assert(offsetof(LinkStatistics, tx_errors) == offsetof(rtnl_link_stats64, tx_errors));
static_assert(offsetof(LinkStatistics, tx_dropped) == offsetof(rtnl_link_stats64, tx_dropped));

}  // namespace

std::optional<InterfaceStatistics> parse_interface_statistics(Bytes payload) {
  const auto header = netlink::read_struct<ifinfomsg>(payload);
  if (!header) return std::nullopt;
  InterfaceStatistics statistics;
  statistics.ifindex = header->ifi_index;
  bool found = false;
  const bool whole = netlink::for_each_attribute(
      netlink::after(payload, sizeof(*header)), [&](const Attribute& attribute) {
        if (attribute.type == IFLA_IFNAME) {
          statistics.name = netlink::text(attribute.value);
        } else if (attribute.type == IFLA_STATS64) {
          const auto counts = netlink::read_struct<LinkStatistics>(attribute.value);
          if (!counts) return;
          found = true;
          statistics.tx_dropped = counts->tx_dropped;
          statistics.tx_errors = counts->tx_errors;
        }
      });
  if (!whole || !found || statistics.name.empty()) return std::nullopt;
  return statistics;
}

bool take_root_queue(const netlink::QueueDiscipline& queue, InterfaceStatistics& statistics) {
  if (queue.parent != TC_H_ROOT || queue.ifindex != statistics.ifindex) return true;
  if (!queue.drops) return false;
  statistics.queue = {queue.kind != "noqueue", queue.handle, *queue.drops};
  return true;
}

Result<std::vector<InterfaceStatistics>> read_interface_statistics(const std::set<int>& wanted) {
  std::map<int, InterfaceStatistics> found;
  bool whole = true;
  ifinfomsg links{};
  links.ifi_family = AF_UNSPEC;
  const Status asked_links =
      Request(RTM_GETLINK, NLM_F_DUMP).body(links).ask(NETLINK_ROUTE, [&](const Message& message) {
        const auto header = netlink::read_struct<ifinfomsg>(message.payload);
        if (message.header.nlmsg_type != RTM_NEWLINK || !header) return;
        if (!wanted.contains(header->ifi_index)) return;
        auto statistics = parse_interface_statistics(message.payload);
        whole &= statistics.has_value();
        if (statistics) found.insert_or_assign(statistics->ifindex, std::move(*statistics));
      });
  if (!asked_links.ok()) return asked_links.error();
  const auto queues = netlink::dump_queue_disciplines();
  if (!queues.ok()) return queues.error();
  for (const netlink::QueueDiscipline& queue : queues.value()) {
    const auto statistics = found.find(queue.ifindex);
    if (statistics != found.end()) whole &= take_root_queue(queue, statistics->second);
  }
  if (!whole) return Error{EBADMSG, "read interface statistics"};
  std::vector<InterfaceStatistics> all;
  for (auto& [ifindex, statistics] : found) all.push_back(std::move(statistics));
  return all;
}

}  // namespace mcfleet
