#include <linux/rtnetlink.h>

#include <cstdio>
#include <cstdlib>

#include "forwarder/interface_statistics.h"
#include "forwarder/neighbour.h"
#include "mroute/cache_reports.h"
#include "mroute/kernel_state.h"
#include "netlink/lower_devices.h"
#include "netlink/parse.h"
#include "netlink/queue_disciplines.h"

using namespace mcfleet;
using namespace mcfleet::netlink;

namespace {

void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::abort();
}

void read_neighbour_and_route(Bytes payload) {
  for (const bool gone : {false, true}) {
    const auto neighbour = parse_neighbour(payload, gone);
    if (!neighbour) continue;
    require(!neighbour->address.none(), "a neighbour has an address");
    require(neighbour->mac >> 48 == 0, "a link-layer address has 48 bits");
    require(!gone || !neighbour->usable(), "who is gone is not usable");
  }
  const uint8_t host6[16] = {0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 3};
  for (const IpAddress& to : {IpAddress(0x0a020003), IpAddress::ipv6(host6)}) {
    const auto next_hop = parse_next_hop(payload, 7, to);
    if (!next_hop) continue;
    require(next_hop->address.is_ipv4() == to.is_ipv4(), "a next hop is of the same family");
  }
}

void read_statistics(Bytes payload) {
  const auto statistics = parse_interface_statistics(payload);
  if (statistics) require(!statistics->name.empty(), "an interface has a name");
  const auto queue = parse_queue_discipline(payload);
  if (!queue) return;
  require(!queue->kind.empty(), "a queue discipline has a kind");
  InterfaceStatistics own;
  own.ifindex = queue->ifindex;
  if (!take_root_queue(*queue, own)) require(!own.queue, "what is truncated tells nothing");
}

void read_multicast(Bytes payload) {
  for (const auto family : {mroute::Family::ipv4, mroute::Family::ipv6}) {
    const auto route = mroute::parse_route(family, payload);
    if (!route || family == mroute::Family::ipv6) continue;
    require(route->group.none() || route->group.is_ipv4(), "a group is of its route's family");
  }
  std::vector<mroute::KernelInterface> interfaces;
  (void)mroute::parse_interfaces(payload, interfaces);
  (void)mroute::parse_cache_report(payload);
}

}  // namespace

// A datagram of any bytes: walked, and each message's payload read as every kind.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const bool whole = for_each_message(Bytes(data, size), [](const Message& message) {
    (void)parse_link(message.payload);
    (void)parse_address(message.payload);
    read_neighbour_and_route(message.payload);
    read_statistics(message.payload);
    (void)parse_link_position(message.payload);
    read_multicast(message.payload);
  });
  (void)whole;
  return 0;
}
