// Filter and rule table see one packet alike: on random rule sets and packets of both families,
// what the kernel lets pass is what a relay wants, but for sources, which the table alone tells
// apart, and for IPv6 packets with extension headers, which all pass.
#include <algorithm>
#include <optional>

#include "check.h"
#include "filter_kernel.h"
#include "forwarder/rule_table.h"
#include "ipv6_packets.h"
#include "packet/parse.h"

using namespace mcfleet;
using packets::Bytes;
namespace v6 = packets::ipv6;

namespace {

constexpr size_t kEthernet = 14;

// Few values, so that rules overlap and packets often miss by one of them alone.
uint32_t some_ipv4(std::mt19937& random) {
  const auto choice = static_cast<uint32_t>(random() % 8);
  return (choice < 2 ? 0x0a000001 : 0xef000000) + choice;
}
// Of two prefixes of groups and one of hosts; their last words are shared.
v6::Address some_ipv6(std::mt19937& random) {
  const auto last = static_cast<uint32_t>(random() % 4);
  switch (random() % 4) {
    case 0:
      return v6::address({0x20, 0x01, 0x0d, 0xb8}, last);
    case 1:
      return v6::address({0xff, 0x3e, 0, 0, 0, 0, 0, 0, 0, 0, 0, 9}, last);
    default:
      return v6::address({0xff, 0x3e}, last);
  }
}
uint16_t some_port(std::mt19937& random) {
  return static_cast<uint16_t>(5000 + random() % 5);
}
uint16_t some_vlan(std::mt19937& random) {
  const uint16_t vlans[] = {0, 0, 0, 7, 4094};
  return vlans[random() % 5];
}
uint32_t some_ipv4_source(std::mt19937& random) {
  return 0x0a636301 + static_cast<uint32_t>(random() % 5);
}
v6::Address some_ipv6_source(std::mt19937& random) {
  return v6::address({0x20, 0x01, 0x0d, 0xb8, 0, 0x63},
                     0x80000000 + static_cast<uint32_t>(random() % 5));
}

IpAddress read(const v6::Address& address) {
  return IpAddress::ipv6(address.data());
}
IpAddress some_address(std::mt19937& random, bool ipv6) {
  if (ipv6) return read(some_ipv6(random));
  return some_ipv4(random);
}
IpAddress some_source(std::mt19937& random, bool ipv6) {
  if (ipv6) return read(some_ipv6_source(random));
  return some_ipv4_source(random);
}

// Which families the rules of a set are of.
enum class Families : uint8_t { kIpv4, kIpv6, kBoth };

std::vector<Rule> random_rules(std::mt19937& random, Families families, bool sources,
                               RelayCounters& counters) {
  std::vector<Rule> rules(1 + random() % 30);
  for (Rule& rule : rules) {
    const bool ipv6 =
        families == Families::kIpv6 || (families == Families::kBoth && random() % 2 == 0);
    rule.group = some_address(random, ipv6);
    rule.port = random() % 5 == 0 ? uint16_t{0} : some_port(random);
    rule.vlan = some_vlan(random);
    rule.counters = &counters;
    if (!sources) continue;
    const auto kind = random() % 3;
    if (kind == 0) continue;
    std::vector<IpAddress>& list = kind == 1 ? rule.sources : rule.excluded_sources;
    for (size_t i = 1 + random() % 3; i > 0; i--) list.push_back(some_source(random, ipv6));
    std::sort(list.begin(), list.end());
  }
  return rules;
}

struct Packet {
  Bytes bytes;
  IpAddress source;
  IpAddress destination;
  uint16_t port = 0;
  bool extended = false;
};

Packet some_packet(std::mt19937& random, bool ipv6) {
  if (ipv6) {
    v6::Spec spec = v6::random_spec(random, 60);
    spec.source = some_ipv6_source(random);
    spec.destination = some_ipv6(random);
    spec.destination_port = some_port(random);
    // Some of them.
    if (random() % 2 == 0) spec.extensions.clear();
    return {v6::ip_packet(spec), read(spec.source), read(spec.destination), spec.destination_port,
            !spec.extensions.empty()};
  }
  packets::Spec spec = packets::random_spec(random, 60);
  spec.source = some_ipv4_source(random);
  spec.destination = some_ipv4(random);
  spec.destination_port = some_port(random);
  return {packets::ip_packet(spec), spec.source, spec.destination, spec.destination_port, false};
}

struct Verdicts {
  // By a walk over all rules: those that want it, and those that would from another source.
  size_t wanting = 0;
  bool but_for_source = false;
};

Verdicts walk(const std::vector<Rule>& rules, const Packet& packet, uint16_t vlan) {
  Verdicts verdicts;
  for (const Rule& rule : rules) {
    if (rule.group != packet.destination || rule.vlan != vlan) continue;
    if (rule.port != 0 && rule.port != packet.port) continue;
    verdicts.but_for_source = true;
    const auto names = [&](const std::vector<IpAddress>& list) {
      return std::find(list.begin(), list.end(), packet.source) != list.end();
    };
    if (!rule.sources.empty() && !names(rule.sources)) continue;
    if (names(rule.excluded_sources)) continue;
    verdicts.wanting++;
  }
  return verdicts;
}

// What a worker makes of a frame that the filter let pass.
size_t matches(const RuleTable& table, const Bytes& frame, size_t link_header, uint16_t vlan) {
  Datagram datagram;
  const ParseResult parsed =
      parse_frame(frame.data(), frame.size(), frame.size(), link_header, {}, datagram);
  if (parsed.status != ParseStatus::kOk) return 0;
  const auto visit = [](const RuleMatch&) {};
  if (datagram.ipv6) {
    return table.match_ipv6(frame.data() + link_header, datagram.destination_port, vlan, visit);
  }
  return table.match(datagram.destination, datagram.destination_port, datagram.source, vlan, visit);
}

struct Seen {
  size_t wanted = 0;
  size_t passed_for_source = 0;
  size_t refused = 0;
  size_t coarse = 0;
  size_t extended = 0;
};

struct Setting {
  const std::vector<Rule>& rules;
  const Filter& filter;
  const RuleTable& table;
  size_t link_header;
  uint16_t vlan;
};

void compare_one(std::mt19937& random, const Setting& setting, bool ipv6, Kernel& kernel,
                 Seen& seen) {
  const size_t link_header = setting.link_header;
  const Packet packet = some_packet(random, ipv6);
  const Bytes frame = link_header == 0 ? packet.bytes
                      : ipv6           ? v6::frame(packet.bytes)
                                       : packets::frame(packet.bytes);
  const Verdicts expected = walk(setting.rules, packet, setting.vlan);
  const bool passes = kernel.passes(frame);
  CHECK_EQ(matches(setting.table, frame, link_header, setting.vlan), expected.wanting);
  if (setting.filter.exact && !packet.extended) {
    CHECK(passes == expected.but_for_source);
  } else {
    CHECK(passes || !expected.but_for_source);
    (packet.extended ? seen.extended : seen.coarse)++;
  }
  if (expected.wanting > 0) {
    seen.wanted++;
  } else if (expected.but_for_source) {
    seen.passed_for_source++;
  } else if (!passes) {
    seen.refused++;
  }

  // However it is damaged: the kernel drops nothing that a relay would take.
  Bytes damaged = frame;
  const size_t headers = ipv6 ? 48 : 28;
  for (size_t n = 1 + random() % 3; n > 0; n--) {
    damaged[link_header + random() % headers] = static_cast<uint8_t>(random());
  }
  if (random() % 4 == 0) damaged.resize(link_header + random() % (damaged.size() - link_header));
  if (matches(setting.table, damaged, link_header, setting.vlan) > 0) {
    CHECK(kernel.passes(damaged));
  }
}

void compare(std::mt19937& random, Setting setting, Kernel& kernel, Seen& ipv4, Seen& ipv6) {
  // Untagged, with a priority alone, and tagged: with VLANs of rules and one of none.
  for (const int tag : {-1, 0xe000, 7, 0x6000 + 4094, 8}) {
    const auto tci = static_cast<uint16_t>(tag);
    setting.vlan = static_cast<uint16_t>(tag < 0 ? 0 : tag & 0x0fff);
    for (const bool of_ipv6 : {false, true}) {
      kernel.load(setting.filter, tag < 0 ? nullptr : &tci, of_ipv6 ? ETH_P_IPV6 : ETH_P_IP);
      for (int i = 0; i < 20; i++) {
        compare_one(random, setting, of_ipv6, kernel, of_ipv6 ? ipv6 : ipv4);
      }
    }
  }
}

void agree() {
  std::mt19937 random(77);
  Kernel kernel;
  RelayCounters counters;
  Seen ipv4;
  Seen ipv6;
  for (int round = 0; round < 1000; round++) {
    constexpr Families kFamilies[] = {Families::kIpv4, Families::kIpv6, Families::kBoth};
    const bool sources = round % 2 == 0;
    const std::vector<Rule> rules = random_rules(random, kFamilies[round % 3], sources, counters);
    const RuleTable table(rules);
    std::vector<FilterTarget> targets;
    for (const Rule& rule : rules) targets.push_back({rule.group, rule.port, rule.vlan});
    const size_t link_header = round % 5 == 0 ? 0 : kEthernet;
    // Now and then as if there were too many.
    const bool coarse = round % 8 >= 6;
    const Filter filter =
        coarse ? compile_coarse_filter(targets, link_header) : compile_filter(targets, link_header);
    CHECK(filter.exact == !coarse);
    compare(random, {rules, filter, table, link_header, 0}, kernel, ipv4, ipv6);
  }
  for (const Seen& seen : {ipv4, ipv6}) {
    CHECK(seen.wanted > 5000 && seen.passed_for_source > 500 && seen.refused > 5000);
    CHECK(seen.coarse > 5000);
  }
  CHECK(ipv6.extended > 5000);
}

}  // namespace

int main() {
  agree();
}
