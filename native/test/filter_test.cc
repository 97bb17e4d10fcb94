// The kernel itself runs the compiled filters: over a pair of Unix sockets, on random rule sets and
// packets.
#include "ring/filter.h"

#include <algorithm>
#include <set>

#include "check.h"
#include "filter_kernel.h"
#include "ipv6_packets.h"
#include "packets.h"

using namespace mcfleet;
using packets::Bytes;

namespace {

bool wanted(const std::vector<FilterTarget>& targets, const IpAddress& address, uint16_t port,
            uint16_t vlan = 0) {
  return std::any_of(targets.begin(), targets.end(), [&](const FilterTarget& target) {
    return target.address == address && (target.port == 0 || target.port == port) &&
           target.vlan == vlan;
  });
}

Bytes packet_to(const IpAddress& address, uint16_t port, size_t link_header, std::mt19937& random) {
  packets::Spec spec = packets::random_spec(random, 40);
  spec.destination = address.ipv4();
  spec.destination_port = port;
  const Bytes packet = packets::ip_packet(spec);
  return link_header == 0 ? packet : packets::frame(packet);
}

std::vector<FilterTarget> random_targets(std::mt19937& random, size_t count) {
  std::vector<FilterTarget> targets;
  for (size_t i = 0; i < count; i++) {
    const uint32_t address = random() % 8 == 0
                                 ? 0x0a000000 + static_cast<uint32_t>(random() % 20)
                                 : 0xef000000 + static_cast<uint32_t>(random() % (count + 1));
    targets.push_back(
        {address, static_cast<uint16_t>(random() % 4 == 0 ? 0 : 5000 + random() % 4)});
  }
  return targets;
}

void agrees_with_the_rules() {
  std::mt19937 random(10);
  Kernel kernel;
  size_t passed = 0;
  size_t refused = 0;
  for (const size_t count : {1UL, 2UL, 3UL, 5UL, 10UL, 40UL, 100UL, 400UL, 700UL}) {
    for (const size_t link_header : {size_t{14}, size_t{0}}) {
      const std::vector<FilterTarget> targets = random_targets(random, count);
      const Filter filter = compile_filter(targets, link_header);
      CHECK(filter.exact);
      CHECK(filter.code.size() <= kMaxFilterCode);
      kernel.load(filter);
      for (int i = 0; i < 2000; i++) {
        FilterTarget to = targets[random() % targets.size()];
        if (random() % 2 == 0) to.address = random_targets(random, count)[0].address;
        if (random() % 8 == 0) to.address = static_cast<uint32_t>(random());
        const auto port = static_cast<uint16_t>(random() % 2 == 0 ? to.port : 4999 + random() % 6);
        const bool want = wanted(targets, to.address, port);
        CHECK(kernel.passes(packet_to(to.address, port, link_header, random)) == want);
        (want ? passed : refused)++;
      }
    }
  }
  CHECK(passed > 5000 && refused > 5000);
}

void tells_vlans_apart() {
  std::mt19937 random(14);
  Kernel kernel;
  size_t passed = 0;
  for (const size_t count : {1UL, 4UL, 40UL, 300UL}) {
    std::vector<FilterTarget> targets = random_targets(random, count);
    for (FilterTarget& target : targets) target.vlan = static_cast<uint16_t>(random() % 4 * 1000);
    const Filter filter = compile_filter(targets, 14);
    CHECK(filter.exact);
    // Bits 12 to 15 of a tag are the priority; VLAN 0 has nothing but that.
    for (const int tag : {-1, 0xe000, 1000, 0xf000 - 1096 * 2, 2000, 3000, 4000}) {
      const auto tci = static_cast<uint16_t>(tag);
      const auto vlan = static_cast<uint16_t>(tag < 0 ? 0 : tag % 4096);
      kernel.load(filter, tag < 0 ? nullptr : &tci);
      for (int i = 0; i < 300; i++) {
        const FilterTarget& to = targets[random() % targets.size()];
        const auto port = static_cast<uint16_t>(random() % 2 == 0 ? to.port : 5000 + random() % 6);
        const bool want = wanted(targets, to.address, port, vlan);
        CHECK(kernel.passes(packet_to(to.address, port, 14, random)) == want);
        passed += want ? 1 : 0;
      }
    }
  }
  CHECK(passed > 1000);
}

void is_coarse_in_the_vlans_that_are_wanted() {
  std::mt19937 random(15);
  std::vector<FilterTarget> targets;
  for (uint32_t i = 0; i < 10000; i++) targets.push_back({0xef000000 + i, 1, 7});
  const Filter filter = compile_filter(targets, 14);
  CHECK(!filter.exact);
  Kernel kernel;
  const uint16_t wanted_vlan = 7;
  const uint16_t other_vlan = 8;
  kernel.load(filter, &wanted_vlan);
  CHECK(kernel.passes(packet_to(0xef800000, 9, 14, random)));
  kernel.load(filter, &other_vlan);
  CHECK(!kernel.passes(packet_to(0xef000000, 1, 14, random)));
  kernel.load(filter);
  CHECK(!kernel.passes(packet_to(0xef000000, 1, 14, random)));
  // A relay in each VLAN, with many unicast addresses: the kernel still takes what is written.
  targets.clear();
  for (uint32_t vlan = 1; vlan < 4095; vlan++) {
    targets.push_back({0x0a000000 + vlan, 1, static_cast<uint16_t>(vlan)});
  }
  kernel.load(compile_filter(targets, 14), &wanted_vlan);
  CHECK(kernel.passes(packet_to(0x0a000007, 1, 14, random)));
}

void holds_a_thousand_relays() {
  std::mt19937 random(11);
  std::vector<FilterTarget> targets;
  for (uint32_t i = 0; i < 900; i++) targets.push_back({0xef000000 + i * 3, 5001});
  const Filter filter = compile_filter(targets, 14);
  CHECK(filter.exact);
  Kernel kernel;
  kernel.load(filter);
  for (uint32_t i = 0; i < 900; i++) {
    CHECK(kernel.passes(packet_to(0xef000000 + i * 3, 5001, 14, random)));
    CHECK(!kernel.passes(packet_to(0xef000000 + i * 3, 5002, 14, random)));
    CHECK(!kernel.passes(packet_to(0xef000000 + i * 3 + 1, 5001, 14, random)));
  }
}

void is_coarse_beyond() {
  std::mt19937 random(12);
  Kernel kernel;
  std::vector<FilterTarget> targets;
  for (uint32_t i = 0; i < 5000; i++) targets.push_back({0xef000000 + i, 5001});
  targets.push_back({0x0a000001, 5001});
  const Filter filter = compile_filter(targets, 14);
  CHECK(!filter.exact);
  kernel.load(filter);
  CHECK(kernel.passes(packet_to(0xef000000, 5001, 14, random)));
  CHECK(kernel.passes(packet_to(0xe0000001, 1, 14, random)));
  CHECK(kernel.passes(packet_to(0x0a000001, 1, 14, random)));
  CHECK(!kernel.passes(packet_to(0x0a000002, 5001, 14, random)));
  CHECK(!kernel.passes(packet_to(0xf0000001, 5001, 14, random)));
  // So many unicast addresses that all UDP passes.
  for (uint32_t i = 0; i < 100; i++) targets.push_back({0x0a000100 + i, 1});
  kernel.load(compile_filter(targets, 14));
  CHECK(kernel.passes(packet_to(0x0a000002, 5001, 14, random)));
  // A limit of the caller's.
  CHECK(!compile_filter({{0xef000001, 1}, {0xef000002, 2}}, 14, 20).exact);
}

void is_coarse_with_many_unicast_addresses() {
  std::mt19937 random(16);
  Kernel kernel;
  std::vector<FilterTarget> targets{{0xef000001, 5001}};
  for (uint32_t i = 0; i < 65; i++) {
    targets.push_back({0x0a000100 + i, 5001});
    // As many as that fit, and one more.
    const bool exact = i < 64;
    const Filter filter = compile_filter(targets, 14);
    CHECK(filter.exact == exact);
    kernel.load(filter);
    CHECK(kernel.passes(packet_to(0x0a000100 + i, 5001, 14, random)));
    CHECK(kernel.passes(packet_to(0x0a000100 + i, 5002, 14, random)) == !exact);
    CHECK(kernel.passes(packet_to(0x0a000200, 5001, 14, random)) == !exact);
  }
}

// An input that sees all frames of its link takes none for other stations, nor those that leave.
void refuses_what_goes_to_other_stations() {
  const packets::Spec ipv4;
  const packets::ipv6::Spec ipv6;
  const std::vector<FilterTarget> targets = {
      {ipv4.destination, ipv4.destination_port},
      {IpAddress::ipv6(ipv6.destination.data()), ipv6.destination_port}};
  const Bytes ipv4_frame = packets::frame(packets::ip_packet(ipv4));
  const Bytes ipv6_frame = packets::ipv6::frame(packets::ipv6::ip_packet(ipv6));
  Kernel kernel;
  for (const Filter& filter : {compile_filter(targets, 14), compile_coarse_filter(targets, 14)}) {
    for (const uint32_t station :
         {PACKET_HOST, PACKET_BROADCAST, PACKET_MULTICAST, PACKET_OTHERHOST, PACKET_OUTGOING}) {
      const bool ours = station != PACKET_OTHERHOST && station != PACKET_OUTGOING;
      kernel.load(filter, nullptr, ETH_P_IP, station);
      CHECK(kernel.passes(ipv4_frame) == ours);
      kernel.load(filter, nullptr, ETH_P_IPV6, station);
      CHECK(kernel.passes(ipv6_frame) == ours);
    }
  }
}

void widens_a_group_with_many_ports() {
  std::mt19937 random(13);
  std::vector<FilterTarget> targets;
  for (uint16_t i = 0; i < 65; i++)
    targets.push_back({0xef000001, static_cast<uint16_t>(5000 + i)});
  const Filter filter = compile_filter(targets, 14);
  CHECK(!filter.exact);
  Kernel kernel;
  kernel.load(filter);
  CHECK(kernel.passes(packet_to(0xef000001, 9, 14, random)));
  CHECK(!kernel.passes(packet_to(0xef000002, 5000, 14, random)));
}

void lets_the_malformed_be_counted() {
  Kernel kernel;
  kernel.load(compile_filter({{0xef010101, 5001}, {0x0a000001, 7}}, 14));
  const Bytes good = packets::frame(packets::ip_packet({}));
  CHECK(kernel.passes(good));
  Bytes bad = good;
  bad[14] = 0x44;
  CHECK(kernel.passes(bad));
  bad[14] = 0x65;
  CHECK(kernel.passes(bad));
  bad = good;
  bad[14 + 6] = 0x20;
  CHECK(kernel.passes(bad));
  for (size_t size = 34; size < 42; size++) {
    CHECK(kernel.passes(Bytes(good.begin(), good.begin() + static_cast<long>(size))));
  }
  bad = Bytes(good.begin(), good.begin() + 40);
  bad[14] = 0x4f;
  CHECK(kernel.passes(bad));
  // Another protocol, or too short to say whose it is.
  bad = good;
  bad[14 + 9] = 6;
  CHECK(!kernel.passes(bad));
  CHECK(!kernel.passes(Bytes(good.begin(), good.begin() + 33)));
  kernel.load(drop_all_filter());
  CHECK(!kernel.passes(good));
  kernel.load(compile_filter({}, 14));
  CHECK(!kernel.passes(good));
}

}  // namespace

int main() {
  agrees_with_the_rules();
  tells_vlans_apart();
  is_coarse_in_the_vlans_that_are_wanted();
  holds_a_thousand_relays();
  is_coarse_beyond();
  is_coarse_with_many_unicast_addresses();
  refuses_what_goes_to_other_stations();
  widens_a_group_with_many_ports();
  lets_the_malformed_be_counted();
}
