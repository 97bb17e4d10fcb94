// What is read of the kernel's messages about interfaces and queues, cut off anywhere, and of the
// kernel itself.
#include "forwarder/interface_statistics.h"

#include <linux/gen_stats.h>
#include <linux/if_link.h>
#include <linux/pkt_sched.h>
#include <linux/rtnetlink.h>

#include <cstring>
#include <memory>

#include "check.h"
#include "own_namespace.h"

using namespace mcfleet;

namespace {

using Buffer = std::vector<uint8_t>;

void put_attribute(Buffer& buffer, uint16_t type, const void* value, size_t size) {
  const rtattr header{static_cast<uint16_t>(sizeof(rtattr) + size), type};
  const auto append = [&](const void* data, size_t length) {
    const auto* bytes = static_cast<const uint8_t*>(data);
    buffer.insert(buffer.end(), bytes, bytes + length);
  };
  append(&header, sizeof(header));
  append(value, size);
  buffer.resize((buffer.size() + 3) & ~size_t{3});
}

template <typename Header>
Buffer begin(const Header& header) {
  Buffer buffer(sizeof(header));
  std::memcpy(buffer.data(), &header, sizeof(header));
  return buffer;
}

Buffer link_payload(size_t statistics_bytes) {
  ifinfomsg header{};
  header.ifi_index = 7;
  Buffer buffer = begin(header);
  put_attribute(buffer, IFLA_IFNAME, "eth0", 5);
  rtnl_link_stats64 statistics{};
  statistics.tx_packets = 1;
  statistics.rx_dropped = 2;
  statistics.tx_dropped = 3;
  statistics.tx_errors = 4;
  put_attribute(buffer, IFLA_STATS64, &statistics, statistics_bytes);
  return buffer;
}

Buffer queue_payload(int ifindex, uint32_t parent, const char* kind) {
  tcmsg header{};
  header.tcm_ifindex = ifindex;
  header.tcm_parent = parent;
  header.tcm_handle = 0x10000;
  Buffer buffer = begin(header);
  put_attribute(buffer, TCA_KIND, kind, std::strlen(kind) + 1);
  gnet_stats_queue queue{};
  queue.qlen = 1;
  queue.drops = 9;
  Buffer parts;
  put_attribute(parts, TCA_STATS_QUEUE, &queue, sizeof(queue));
  put_attribute(buffer, TCA_STATS2 | NLA_F_NESTED, parts.data(), parts.size());
  return buffer;
}

// A copy that ends where it ends, so that a reader that goes on is seen.
template <typename Read>
auto read_cut(const Buffer& buffer, size_t size, Read read) {
  const auto copy = std::make_unique<uint8_t[]>(size);
  std::memcpy(copy.get(), buffer.data(), size);
  return read(netlink::Bytes(copy.get(), size));
}

void reads_a_link() {
  // Older kernels' statistics are shorter.
  for (const size_t size : {sizeof(rtnl_link_stats64), size_t{184}}) {
    const auto statistics = parse_interface_statistics(link_payload(size));
    CHECK(statistics.has_value());
    CHECK((*statistics == InterfaceStatistics{7, "eth0", 3, 4, std::nullopt}));
  }
  const Buffer whole = link_payload(184);
  for (size_t size = 0; size < whole.size(); size++) {
    CHECK(!read_cut(whole, size, parse_interface_statistics).has_value());
  }
}

bool take(netlink::Bytes payload, InterfaceStatistics& statistics) {
  const auto queue = netlink::parse_queue_discipline(payload);
  return queue && take_root_queue(*queue, statistics);
}

void reads_the_root_queue_and_no_other() {
  InterfaceStatistics statistics{7, "eth0", 0, 0, std::nullopt};
  CHECK(take(queue_payload(8, TC_H_ROOT, "mq"), statistics));
  CHECK(take(queue_payload(7, 0x10001, "fq_codel"), statistics));
  CHECK(take(queue_payload(7, TC_H_INGRESS, "clsact"), statistics));
  CHECK(!statistics.queue.has_value());
  const Buffer root = queue_payload(7, TC_H_ROOT, "mq");
  for (size_t size = 0; size < root.size(); size++) {
    CHECK(!read_cut(root, size, [&](auto bytes) { return take(bytes, statistics); }));
    CHECK(!statistics.queue.has_value());
  }
  CHECK(take(root, statistics));
  CHECK((statistics.queue == RootQueue{true, 0x10000, 9}));
  CHECK(take(queue_payload(7, TC_H_ROOT, "noqueue"), statistics));
  CHECK((statistics.queue == RootQueue{false, 0x10000, 9}));
}

void asks_the_kernel() {
  const auto none = read_interface_statistics({kLoopback + 1});
  CHECK(none.ok());
  CHECK(none.value().empty());
  const auto all = read_interface_statistics({kLoopback, kLoopback + 1});
  CHECK(all.ok());
  CHECK_EQ(all.value().size(), 1U);
  CHECK(
      (all.value().front() == InterfaceStatistics{kLoopback, "lo", 0, 0, RootQueue{false, 0, 0}}));
}

}  // namespace

int main() {
  reads_a_link();
  reads_the_root_queue_and_no_other();
  if (!enter_own_namespace()) return kSkipped;
  asks_the_kernel();
}
