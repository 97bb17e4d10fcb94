#pragma once

// A router of four interfaces in the test's own namespace, whose far ends the test holds.

#include <sched.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "eventually.h"
#include "ipv6_packets.h"
#include "mroute/multicast_route.h"
#include "mroute/multicast_table.h"
#include "own_namespace.h"
#include "packets.h"
#include "veth_links.h"

namespace router {

using mcfleet::IpAddress;
using mcfleet::mroute::Family;
using mcfleet::mroute::MulticastRoute;
using mcfleet::mroute::MulticastTable;

inline const std::vector<std::string> kLinks{"in", "out1", "out2", "out3"};
constexpr uint16_t kPort = 5001;
// Of packets that only tell that all before them went through.
constexpr uint16_t kLastPort = 9;

// The kernel forwards on the processor that sends: on one alone, in the order of sending.
inline void use_one_processor() {
  cpu_set_t one;
  CPU_ZERO(&one);
  CPU_SET(sched_getcpu(), &one);
  CHECK(sched_setaffinity(0, sizeof(one), &one) == 0);
}

inline std::unique_ptr<MulticastTable> open_table(Family family, uint32_t id) {
  auto table = MulticastTable::open(family, id);
  CHECK(table.ok());
  return std::move(table.value());
}
// The kernel's own, to which packets come without a rule.
inline std::unique_ptr<MulticastTable> open_table(Family family) {
  return open_table(family, mcfleet::mroute::default_table(family));
}

inline IpAddress group(Family family, uint32_t number) {
  if (family == Family::ipv4) return 0xef010100 + number;
  const auto bytes = packets::ipv6::address({0xff, 0x3e}, 0x80000000 + number);
  return IpAddress::ipv6(bytes.data());
}
inline IpAddress source(Family family, uint32_t number) {
  if (family == Family::ipv4) return 0x0a636300 + number;
  const auto bytes = packets::ipv6::address({0x20, 0x01, 0x0d, 0xb8}, number);
  return IpAddress::ipv6(bytes.data());
}

// A datagram to a group; its payload tells number and source apart.
inline packets::Bytes datagram(const IpAddress& from, const IpAddress& to, uint8_t ttl = 8,
                               uint16_t port = kPort) {
  if (to.is_ipv4()) {
    packets::Spec spec;
    spec.source = from.ipv4();
    spec.destination = to.ipv4();
    spec.ttl = ttl;
    spec.destination_port = port;
    return multicast_frame(packets::ip_packet(spec));
  }
  packets::ipv6::Spec spec;
  from.write_ipv6(spec.source.data());
  to.write_ipv6(spec.destination.data());
  spec.hop_limit = ttl;
  spec.destination_port = port;
  return multicast_frame(packets::ipv6::ip_packet(spec));
}

// Counts, at one far end, what arrived for the port.
class End final {
 public:
  explicit End(const std::string& name) : tap(name + "-far") {}
  void read() {
    for (packets::Bytes frame = tap.receive(); !frame.empty(); frame = tap.receive()) {
      const uint16_t port = datagram_port(frame);
      if (port == kPort) {
        count++;
        ttl = frame[packets::get16(frame.data() + 12) == ETH_P_IP ? 22 : 21];
      }
      if (port == kLastPort) last++;
    }
  }

  Tap tap;
  size_t count = 0;
  size_t last = 0;
  // Of what came last.
  uint8_t ttl = 0;
};

// What arrived at each far end since the last call; after the routes that `last` are there, a
// packet to that group from `in` reached out1.
class Ends final {
 public:
  Ends() {
    for (const std::string& name : kLinks) ends_.emplace(name, std::make_unique<End>(name));
  }
  // The route by which packets that are the last go.
  static MulticastRoute last_route(Family family) {
    return {{}, group(family, 0xff), index_of("in"), {{index_of("out1"), 1}}};
  }
  void send(const std::string& link, const packets::Bytes& frame, size_t times = 1) {
    for (; times > 0; times--) ends_.at(link)->tap.send(frame);
  }
  // Counts at out1, out2, out3 and in, when all that was sent before has gone through.
  std::vector<size_t> counts(Family family) {
    const size_t before = ends_.at("out1")->last;
    send("in", datagram(source(family, 0xff), group(family, 0xff), 8, kLastPort));
    CHECK(eventually([&] {
      ends_.at("out1")->read();
      return ends_.at("out1")->last > before;
    }));
    std::vector<size_t> result;
    for (const char* name : {"out1", "out2", "out3", "in"}) {
      End& end = *ends_.at(name);
      end.read();
      result.push_back(std::exchange(end.count, 0));
    }
    return result;
  }
  End& at(const std::string& link) { return *ends_.at(link); }

 private:
  std::map<std::string, std::unique_ptr<End>> ends_;
};

// What main() returns after `test(ends)`, with kLinks in a namespace of their own and everything on
// one processor.
template <typename Test>
int run_on_one_processor(Test&& test) {
  if (!enter_own_namespace()) return kSkipped;
  use_one_processor();
  add_links(kLinks);
  Ends ends;
  test(ends);
  return 0;
}

}  // namespace router
