#include "forwarder/queue_safety.h"

#include <algorithm>
#include <array>
#include <utility>

#include "netlink/lower_devices.h"
#include "netlink/queue_disciplines.h"

namespace mcfleet {
namespace {

// Their enqueue functions (net/sched/sch_*.c) hand on a super-frame as one packet, and what they or
// the queue below them refuse they answer with NET_XMIT_DROP, which the sender gets as ENOBUFS.
// What codel and fq_codel drop later, from the queue, only the kernel's counters tell.
//
// Not among them:
// - tbf, cake, dualpi2, taprio, and netem where it corrupts, cut a super-frame as they enqueue it
//   (skb_gso_segment) and tell success if they kept any of it, or always;
// - red, gred, choke, sfb, sfq, fq_pie, hhf, skbprio and pfifo_head_drop may drop what they are
//   given or what waits, and answer NET_XMIT_CN, which is success to the sender: so it is at least
//   one datagram, which the kernel counts as one;
// - bfifo may have a limit that no super-frame fits under.
constexpr std::array<std::string_view, 17> kWhole{
    "clsact", "codel",  "drr",    "ets",     "fq",    "fq_codel",   "hfsc", "htb", "ingress",
    "mq",     "mqprio", "multiq", "noqueue", "pfifo", "pfifo_fast", "pie",  "prio"};
constexpr std::string_view kNotTold = "not told by the kernel";

}  // namespace

bool takes_super_frames_whole(std::string_view kind) {
  return std::find(kWhole.begin(), kWhole.end(), kind) != kWhole.end();
}

UnsafeQueues::UnsafeQueues(std::map<int, std::string> kinds, const std::multimap<int, int>& lower)
    : kinds_(std::move(kinds)) {
  // Up from device to device: the kernel allows eight levels (MAX_NEST_DEV). Each round adds one
  // interface at least.
  for (bool more = true; more;) {
    more = false;
    for (const auto& [upper, below] : lower) {
      const auto found = kinds_.find(below);
      if (found != kinds_.end()) more |= kinds_.try_emplace(upper, found->second).second;
    }
  }
}

UnsafeQueues UnsafeQueues::read() {
  const auto queues = netlink::dump_queue_disciplines();
  const auto lower = netlink::dump_lower_devices();
  if (!queues.ok() || !lower.ok()) {
    UnsafeQueues unsafe;
    unsafe.unknown_ = true;
    return unsafe;
  }
  std::map<int, std::string> kinds;
  for (const netlink::QueueDiscipline& queue : queues.value()) {
    if (!takes_super_frames_whole(queue.kind)) kinds.try_emplace(queue.ifindex, queue.kind);
  }
  return UnsafeQueues(std::move(kinds), lower.value());
}

std::string_view UnsafeQueues::of(int ifindex) const {
  if (unknown_) return kNotTold;
  const auto found = kinds_.find(ifindex);
  return found != kinds_.end() ? std::string_view(found->second) : std::string_view();
}

}  // namespace mcfleet
