// The kernel itself runs filters for IPv6, on random rule sets and packets, alone and beside IPv4.
#include <linux/if_ether.h>

#include <algorithm>

#include "check.h"
#include "filter_kernel.h"
#include "ipv6_packets.h"

using namespace mcfleet;
using packets::Bytes;
namespace v6 = packets::ipv6;

namespace {

IpAddress read(const v6::Address& address) {
  return IpAddress::ipv6(address.data());
}

bool wanted(const std::vector<FilterTarget>& targets, const IpAddress& address, uint16_t port,
            uint16_t vlan = 0) {
  return std::any_of(targets.begin(), targets.end(), [&](const FilterTarget& target) {
    return target.address == address && (target.port == 0 || target.port == port) &&
           target.vlan == vlan;
  });
}

// Few prefixes, and last words that several of them share.
v6::Address some_address(std::mt19937& random, size_t count) {
  const auto last = static_cast<uint32_t>(random() % (count + 1));
  switch (random() % 5) {
    case 0:
      return v6::address({0x20, 0x01, 0x0d, 0xb8}, last % 20);
    case 1:
      return v6::address({0xff, 0x3e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}, 0x80000000 + last);
    case 2:
      return v6::address({0xff, 0x02}, last % 50);
    default:
      return v6::address({0xff, 0x3e, 0, 0x40, 0x20, 0x01}, 0x80000000 + last);
  }
}

std::vector<FilterTarget> random_targets(std::mt19937& random, size_t count) {
  std::vector<FilterTarget> targets;
  for (size_t i = 0; i < count; i++) {
    targets.push_back({read(some_address(random, count)),
                       static_cast<uint16_t>(random() % 4 == 0 ? 0 : 5000 + random() % 4)});
  }
  return targets;
}

Bytes packet_to(const IpAddress& address, uint16_t port, size_t link_header, std::mt19937& random) {
  v6::Spec spec = v6::random_spec(random, 40);
  spec.extensions.clear();
  address.write_ipv6(spec.destination.data());
  spec.destination_port = port;
  const Bytes packet = v6::ip_packet(spec);
  return link_header == 0 ? packet : v6::frame(packet);
}

void agrees_with_the_rules() {
  std::mt19937 random(40);
  Kernel kernel;
  size_t passed = 0;
  size_t refused = 0;
  for (const size_t count : {1UL, 2UL, 3UL, 5UL, 10UL, 40UL, 100UL, 400UL, 600UL}) {
    for (const size_t link_header : {size_t{14}, size_t{0}}) {
      const std::vector<FilterTarget> targets = random_targets(random, count);
      const Filter filter = compile_filter(targets, link_header);
      CHECK(filter.exact);
      CHECK(filter.code.size() <= kMaxFilterCode);
      kernel.load(filter, nullptr, ETH_P_IPV6);
      for (int i = 0; i < 2000; i++) {
        FilterTarget to = targets[random() % targets.size()];
        if (random() % 2 == 0) to.address = read(some_address(random, count));
        if (random() % 8 == 0) to.address = read(v6::random_address(random));
        const auto port = static_cast<uint16_t>(random() % 2 == 0 ? to.port : 4999 + random() % 6);
        const bool want = wanted(targets, to.address, port);
        CHECK(kernel.passes(packet_to(to.address, port, link_header, random)) == want);
        (want ? passed : refused)++;
      }
    }
  }
  CHECK(passed > 5000 && refused > 5000);
}

void tells_families_and_vlans_apart() {
  std::mt19937 random(41);
  std::vector<FilterTarget> targets = random_targets(random, 60);
  for (size_t i = 0; i < targets.size(); i++) targets[i].vlan = static_cast<uint16_t>(i % 2 * 7);
  targets.push_back({0xef010101, 5001});
  targets.push_back({0x0a000001, 5001, 7});
  const Filter filter = compile_filter(targets, 14);
  CHECK(filter.exact);
  Kernel kernel;
  const Bytes ipv4 = packets::frame(packets::ip_packet({}));
  const uint16_t tag = 7;
  for (const uint16_t* tagged : {static_cast<const uint16_t*>(nullptr), &tag}) {
    const uint16_t vlan = tagged != nullptr ? *tagged : 0;
    kernel.load(filter, tagged, ETH_P_IPV6);
    for (const FilterTarget& to : targets) {
      if (to.address.is_ipv4()) continue;
      const bool want = wanted(targets, to.address, to.port, vlan);
      CHECK(kernel.passes(packet_to(to.address, to.port, 14, random)) == want);
    }
    kernel.load(filter, tagged, ETH_P_IP);
    CHECK(kernel.passes(ipv4) == (tagged == nullptr));
    kernel.load(filter, tagged, ETH_P_ARP);
    CHECK(!kernel.passes(ipv4));
  }
  // IPv4 relays alone let no IPv6 pass, and the other way round.
  kernel.load(compile_filter({{0xef010101, 5001}}, 14), nullptr, ETH_P_IPV6);
  CHECK(!kernel.passes(packet_to(targets[0].address, 5001, 14, random)));
  kernel.load(compile_filter({targets[0]}, 14));
  CHECK(!kernel.passes(ipv4));
}

void holds_a_thousand_relays_and_is_coarse_beyond() {
  std::mt19937 random(42);
  const auto group = [](uint32_t last) {
    return read(v6::address({0xff, 0x3e}, 0x80000000 + last));
  };
  std::vector<FilterTarget> targets;
  for (uint32_t i = 0; i < 900; i++) targets.push_back({group(i * 3), 5001});
  Kernel kernel;
  Filter filter = compile_filter(targets, 14);
  CHECK(filter.exact);
  kernel.load(filter, nullptr, ETH_P_IPV6);
  for (uint32_t i = 0; i < 900; i++) {
    CHECK(kernel.passes(packet_to(group(i * 3), 5001, 14, random)));
    CHECK(!kernel.passes(packet_to(group(i * 3), 5002, 14, random)));
    CHECK(!kernel.passes(packet_to(group(i * 3 + 1), 5001, 14, random)));
  }
  for (uint32_t i = 0; i < 5000; i++) targets.push_back({group(i), 5001});
  const IpAddress own = read(v6::address({0x20, 0x01}, 7));
  targets.push_back({own, 5001});
  // Both families at once, each with too many.
  for (uint32_t i = 0; i < 5000; i++) targets.push_back({0xef000000 + i, 5001});
  filter = compile_filter(targets, 14);
  CHECK(!filter.exact);
  kernel.load(filter, nullptr, ETH_P_IPV6);
  CHECK(kernel.passes(packet_to(group(0), 1, 14, random)));
  CHECK(kernel.passes(packet_to(own, 1, 14, random)));
  CHECK(!kernel.passes(packet_to(read(v6::address({0x20, 0x01}, 8)), 5001, 14, random)));
  kernel.load(filter);
  CHECK(kernel.passes(packets::frame(packets::ip_packet({}))));
  // Addresses that have nothing in common.
  targets.clear();
  for (uint32_t i = 0; i < 40; i++) targets.push_back({read(v6::random_address(random)), 1});
  CHECK(!compile_filter(targets, 14).exact);
}

void lets_the_irregular_pass() {
  const v6::Spec spec;
  const Filter filter = compile_filter({{read(spec.destination), 5001}}, 14);
  Kernel kernel;
  kernel.load(filter, nullptr, ETH_P_IPV6);
  const Bytes good = v6::frame(v6::ip_packet(spec));
  CHECK(kernel.passes(good));
  Bytes bad = good;
  bad[14] = 0x45;
  CHECK(kernel.passes(bad));
  for (const uint8_t extension : Bytes{0, 43, 44, 60}) {
    bad = good;
    bad[14 + 6] = extension;
    CHECK(kernel.passes(bad));
    // ICMPv6 behind it: reports of groups, neighbour discovery.
    bad[14 + 40] = 58;
    CHECK(!kernel.passes(bad));
    // To nobody here.
    bad[14 + 40] = 17;
    bad[14 + 24] = 0x20;
    CHECK(!kernel.passes(bad));
  }
  for (size_t size = 54; size < 62; size++) {
    CHECK(kernel.passes(Bytes(good.begin(), good.begin() + static_cast<long>(size))));
  }
  CHECK(!kernel.passes(Bytes(good.begin(), good.begin() + 53)));
  bad = good;
  bad[14 + 6] = 58;
  CHECK(!kernel.passes(bad));
  // The first byte of a source port is no next header.
  v6::Spec port = spec;
  port.source_port = 58 * 256;
  CHECK(kernel.passes(v6::frame(v6::ip_packet(port))));
}

}  // namespace

int main() {
  agrees_with_the_rules();
  tells_families_and_vlans_apart();
  holds_a_thousand_relays_and_is_coarse_beyond();
  lets_the_irregular_pass();
}
