// What the kernel tells of queue disciplines, and which of them are trusted with super-frames.
#include "forwarder/queue_safety.h"

#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <cstring>
#include <string_view>
#include <vector>

#include "check.h"
#include "netlink/lower_devices.h"
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
  const netlink::QueueDiscipline expected{7, TC_H_ROOT, 0x80010000, "fq_codel", {}};
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

// The payload of RTM_NEWLINK.
class Link {
 public:
  explicit Link(int ifindex) {
    ifinfomsg header{};
    header.ifi_index = ifindex;
    append(&header, sizeof(header));
  }
  Link& attribute(uint16_t type, std::string_view value) {
    const rtattr header{static_cast<uint16_t>(sizeof(rtattr) + value.size()), type};
    append(&header, sizeof(header));
    append(value.data(), value.size());
    bytes_.resize((bytes_.size() + 3) & ~size_t{3});
    return *this;
  }
  Link& attribute(uint16_t type, int value) {
    return attribute(type, std::string_view(reinterpret_cast<const char*>(&value), sizeof(value)));
  }
  Link& kind(std::string_view name) {
    Link nested(0);
    nested.bytes_.clear();
    nested.attribute(IFLA_INFO_KIND, name);
    const auto* text = reinterpret_cast<const char*>(nested.bytes_.data());
    return attribute(IFLA_LINKINFO, std::string_view(text, nested.bytes_.size()));
  }
  [[nodiscard]] std::optional<netlink::LinkPosition> position() const {
    return netlink::parse_link_position(bytes_);
  }
  [[nodiscard]] const std::vector<uint8_t>& bytes() const { return bytes_; }

 private:
  void append(const void* data, size_t size) {
    const auto* from = static_cast<const uint8_t*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
  }
  std::vector<uint8_t> bytes_;
};

void reads_which_sends_through_which() {
  using Position = netlink::LinkPosition;
  CHECK(Link(7).position() == (Position{7, 0, 0}));
  const Link vlan = Link(7).attribute(IFLA_LINK, 3).attribute(IFLA_MASTER, 9).kind("vlan");
  CHECK(vlan.position() == (Position{7, 3, 9}));
  for (size_t cut = 0; cut < vlan.bytes().size(); cut++) {
    const auto position = netlink::parse_link_position(netlink::Bytes(vlan.bytes()).first(cut));
    // What is whole of it counts; what is not, not at all.
    CHECK(!position || (position->ifindex == 7 && (position->lower == 0 || position->lower == 3)));
  }
  // What is elsewhere cannot be looked at, and the other end of a veth is no device below.
  CHECK(Link(7).attribute(IFLA_LINK, 3).attribute(IFLA_LINK_NETNSID, 0).position() ==
        (Position{7, 0, 0}));
  CHECK(Link(7).attribute(IFLA_LINK, 3).kind("veth").position() == (Position{7, 0, 0}));
}

void passes_on_what_is_unsafe_to_devices_above() {
  // 5 over 4 over 3; 9 over 8; 6 and 7 over each other.
  const UnsafeQueues queues({{3, "tbf"}, {8, "cake"}}, {{9, 8}, {5, 4}, {4, 3}, {6, 7}, {7, 6}});
  for (const int ifindex : {3, 4, 5}) CHECK(queues.of(ifindex) == "tbf");
  for (const int ifindex : {8, 9}) CHECK(queues.of(ifindex) == "cake");
  for (const int ifindex : {1, 6, 7}) CHECK(queues.of(ifindex).empty());
}

void asks_the_kernel() {
  CHECK(netlink::dump_lower_devices().ok());
  CHECK(netlink::dump_queue_disciplines().ok());
  // Of an interface that is not there nothing is known that speaks against it.
  CHECK(UnsafeQueues::read().of(0x7ffffff).empty());
  CHECK(UnsafeQueues().of(1).empty());
}

}  // namespace

int main() {
  reads_queue_disciplines();
  trusts_none_that_it_does_not_know();
  reads_which_sends_through_which();
  passes_on_what_is_unsafe_to_devices_above();
  asks_the_kernel();
}
