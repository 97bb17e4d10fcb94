// What the kernel tells of queue disciplines, and which of them are trusted with super-frames.
#include "forwarder/queue_safety.h"

#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <cstring>
#include <string_view>
#include <vector>

#include "check.h"
#include "netlink/queue_disciplines.h"

using namespace mcfleet;

namespace {

// The payload of RTM_NEWQDISC.
std::vector<uint8_t> message(int ifindex, uint32_t parent, std::string_view kind) {
  tcmsg header{};
  header.tcm_ifindex = ifindex;
  header.tcm_parent = parent;
  header.tcm_handle = 0x80010000;
  const rtattr attribute{static_cast<uint16_t>(sizeof(rtattr) + kind.size() + 1), TCA_KIND};
  std::vector<uint8_t> bytes(sizeof(header) + sizeof(attribute) + kind.size() + 1);
  std::memcpy(bytes.data(), &header, sizeof(header));
  std::memcpy(bytes.data() + sizeof(header), &attribute, sizeof(attribute));
  std::memcpy(bytes.data() + sizeof(header) + sizeof(attribute), kind.data(), kind.size());
  return bytes;
}

void reads_queue_disciplines() {
  const auto bytes = message(7, TC_H_ROOT, "fq_codel");
  const netlink::QueueDiscipline expected{7, TC_H_ROOT, 0x80010000, "fq_codel"};
  CHECK(netlink::parse_queue_discipline(bytes) == expected);
  for (size_t cut = 0; cut < bytes.size(); cut++) {
    CHECK(!netlink::parse_queue_discipline(netlink::Bytes(bytes).first(cut)));
  }
  // Without a kind.
  CHECK(!netlink::parse_queue_discipline(message(7, TC_H_ROOT, "")));
}

void trusts_none_that_it_does_not_know() {
  for (const char* kind : {"noqueue", "fq_codel", "fq", "pfifo_fast", "mq", "htb", "clsact"}) {
    CHECK(takes_super_frames_whole(kind));
  }
  for (const char* kind : {"tbf", "cake", "dualpi2", "taprio", "netem", "red", "sfq", "bfifo",
                           "pfifo_head_drop", "fq_pie", "", "fq_", "noqueue2", "my_bpf_qdisc"}) {
    CHECK(!takes_super_frames_whole(kind));
  }
}

void asks_the_kernel() {
  CHECK(netlink::dump_queue_disciplines().ok());
  // Of an interface that is not there nothing is known that speaks against it.
  CHECK(UnsafeQueues::read().of(0x7ffffff).empty());
  CHECK(UnsafeQueues().of(1).empty());
}

}  // namespace

int main() {
  reads_queue_disciplines();
  trusts_none_that_it_does_not_know();
  asks_the_kernel();
}
