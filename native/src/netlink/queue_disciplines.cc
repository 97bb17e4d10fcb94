#include "netlink/queue_disciplines.h"

#include <linux/gen_stats.h>
#include <linux/pkt_sched.h>

#include "netlink/request.h"

namespace mcfleet::netlink {

static_assert(sizeof(tcmsg) == 20 && offsetof(tcmsg, tcm_ifindex) == 4);
static_assert(offsetof(tcmsg, tcm_handle) == 8 && offsetof(tcmsg, tcm_parent) == 12);
static_assert(sizeof(gnet_stats_queue) == 20 && offsetof(gnet_stats_queue, drops) == 8);

std::optional<QueueDiscipline> parse_queue_discipline(Bytes payload) {
  const auto header = read_struct<tcmsg>(payload);
  if (!header) return std::nullopt;
  QueueDiscipline queue{header->tcm_ifindex, header->tcm_parent, header->tcm_handle, {}, {}};
  bool whole = true;
  whole &= for_each_attribute(after(payload, sizeof(*header)), [&](const Attribute& attribute) {
    if (attribute.type == TCA_KIND) queue.kind = text(attribute.value);
    if (attribute.type != TCA_STATS2) return;
    whole &= for_each_attribute(attribute.value, [&](const Attribute& part) {
      if (part.type != TCA_STATS_QUEUE) return;
      if (const auto counts = read_struct<gnet_stats_queue>(part.value))
        queue.drops = counts->drops;
    });
  });
  if (!whole || queue.kind.empty()) return std::nullopt;
  return queue;
}

Result<std::vector<QueueDiscipline>> dump_queue_disciplines() {
  std::vector<QueueDiscipline> found;
  bool whole = true;
  const tcmsg all{};
  const Status asked =
      Request(RTM_GETQDISC, NLM_F_DUMP).body(all).ask(NETLINK_ROUTE, [&](const Message& message) {
        if (message.header.nlmsg_type != RTM_NEWQDISC) return;
        auto queue = parse_queue_discipline(message.payload);
        whole &= queue.has_value();
        if (queue) found.push_back(std::move(*queue));
      });
  if (!asked.ok() && asked.error().code != EOPNOTSUPP) return asked.error();
  if (!whole) return Error{EBADMSG, "read queue disciplines"};
  return found;
}

}  // namespace mcfleet::netlink
