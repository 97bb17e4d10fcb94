// Random rule sets and packets: the table finds what a walk over all rules finds.
#include "forwarder/rule_table.h"

#include <algorithm>
#include <array>
#include <random>

#include "check.h"

using namespace mcfleet;

namespace {

struct Packet {
  uint32_t group;
  uint16_t port;
  uint32_t source;
  uint16_t vlan;
};

bool wants(const Rule& rule, const Packet& packet) {
  return rule.vlan == packet.vlan && rule.group == packet.group &&
         (rule.port == 0 || rule.port == packet.port) &&
         (rule.sources.empty() || std::find(rule.sources.begin(), rule.sources.end(),
                                            packet.source) != rule.sources.end()) &&
         std::find(rule.excluded_sources.begin(), rule.excluded_sources.end(), packet.source) ==
             rule.excluded_sources.end();
}

// Few values, so that rules overlap in every way. Zero is no group or source in rules, but packets
// may carry it.
uint32_t some_group(std::mt19937& random) {
  return 0xef000000 + static_cast<uint32_t>(random() % 6);
}
uint16_t some_port(std::mt19937& random) {
  return static_cast<uint16_t>(random() % 5);
}
uint16_t some_vlan(std::mt19937& random) {
  return static_cast<uint16_t>(random() % 3 == 0 ? 7 : 0);
}

void finds_what_a_walk_finds() {
  std::mt19937 random(8);
  std::vector<RelayCounters> counters(40);
  size_t matched = 0;
  for (int round = 0; round < 500; round++) {
    std::vector<Rule> rules;
    const size_t count = random() % counters.size();
    for (size_t i = 0; i < count; i++) {
      Rule rule;
      rule.group = some_group(random);
      rule.port = some_port(random);
      rule.vlan = some_vlan(random);
      rule.counters = &counters[i];
      const bool exclude = random() % 2 == 0;
      for (size_t s = random() % 4; s > 0; s--) {
        (exclude ? rule.excluded_sources : rule.sources)
            .push_back(1 + static_cast<uint32_t>(random() % 4));
      }
      std::sort(rule.excluded_sources.begin(), rule.excluded_sources.end());
      for (size_t o = 1 + random() % 3; o > 0; o--) {
        rule.outputs.push_back({{static_cast<uint32_t>(i * 10 + o), 0, 0, 0}, nullptr, nullptr});
      }
      rules.push_back(rule);
    }
    const RuleTable table(rules);
    for (int p = 0; p < 100; p++) {
      const Packet packet{some_group(random), some_port(random),
                          static_cast<uint32_t>(random() % 5), some_vlan(random)};
      const auto of_vlan = [&](const Rule& rule) { return rule.vlan == packet.vlan; };
      CHECK(table.wants_vlan(packet.vlan) == std::any_of(rules.begin(), rules.end(), of_vlan));
      std::vector<const RelayCounters*> found;
      std::vector<uint32_t> copies;
      const size_t relays = table.match(packet.group, packet.port, packet.source, packet.vlan,
                                        [&](const RuleMatch& match) {
                                          found.push_back(match.counters);
                                          for (const OutputAction& o : match.outputs)
                                            copies.push_back(o.rewrite.destination);
                                        });
      std::vector<const RelayCounters*> want;
      std::vector<uint32_t> want_copies;
      for (const Rule& rule : rules) {
        if (!wants(rule, packet)) continue;
        want.push_back(rule.counters);
        for (const OutputAction& o : rule.outputs) want_copies.push_back(o.rewrite.destination);
      }
      std::sort(found.begin(), found.end());
      std::sort(want.begin(), want.end());
      std::sort(copies.begin(), copies.end());
      std::sort(want_copies.begin(), want_copies.end());
      CHECK_EQ(relays, want.size());
      CHECK(found == want);
      CHECK(copies == want_copies);
      matched += relays;
    }
  }
  CHECK(matched > 10000);
}

void holds_many() {
  RelayCounters counters;
  std::vector<Rule> rules;
  for (uint32_t i = 0; i < 10000; i++) {
    Rule rule;
    rule.group = 0xef000000 + i;
    rule.port = 5001;
    rule.counters = &counters;
    rules.push_back(rule);
  }
  const RuleTable table(rules);
  for (uint32_t i = 0; i < 10000; i++) {
    CHECK_EQ(table.match(0xef000000 + i, 5001, 1, 0, [](const RuleMatch&) {}), 1U);
    CHECK_EQ(table.match(0xef000000 + i, 5002, 1, 0, [](const RuleMatch&) {}), 0U);
  }
  const RuleTable empty({});
  CHECK_EQ(empty.match(0xef000000, 5001, 1, 0, [](const RuleMatch&) {}), 0U);
}

// The last byte tells addresses apart, or one of the first.
std::array<uint8_t, 16> ipv6_address(uint8_t first, uint32_t number) {
  std::array<uint8_t, 16> bytes{};
  bytes[0] = first;
  bytes[number % 2 == 0 ? 15 : 5] = static_cast<uint8_t>(number);
  return bytes;
}

IpAddress ipv6(uint8_t first, uint32_t number) {
  return IpAddress::ipv6(ipv6_address(first, number).data());
}

// As above, with both families in one table; rules of IPv4 with equal last words are there to be
// confused with.
void finds_ipv6_beside_ipv4() {
  std::mt19937 random(9);
  std::vector<RelayCounters> counters(40);
  size_t matched = 0;
  for (int round = 0; round < 500; round++) {
    std::vector<Rule> rules;
    for (size_t i = random() % counters.size(); i > 0; i--) {
      Rule rule;
      const bool ipv4 = random() % 4 == 0;
      const auto address = [&](uint8_t first, uint32_t number) {
        return ipv4 ? IpAddress(uint32_t{first} << 24 | number) : ipv6(first, number);
      };
      rule.group = address(0xef, 1 + static_cast<uint32_t>(random() % 6));
      if (!ipv4) rule.group = ipv6(0xff, static_cast<uint32_t>(random() % 6));
      rule.port = some_port(random);
      rule.vlan = some_vlan(random);
      rule.counters = &counters[i];
      const bool exclude = random() % 2 == 0;
      for (size_t s = random() % 4; s > 0; s--) {
        (exclude ? rule.excluded_sources : rule.sources)
            .push_back(address(0x20, 1 + static_cast<uint32_t>(random() % 4)));
      }
      rule.outputs.resize(1 + random() % 3);
      rules.push_back(rule);
    }
    const RuleTable table(rules);
    for (int p = 0; p < 100; p++) {
      std::array<uint8_t, 40> ip{};
      const auto group = ipv6_address(0xff, static_cast<uint32_t>(random() % 7));
      const auto source = ipv6_address(0x20, static_cast<uint32_t>(random() % 6));
      std::copy(source.begin(), source.end(), ip.begin() + 8);
      std::copy(group.begin(), group.end(), ip.begin() + 24);
      const uint16_t port = some_port(random);
      const uint16_t vlan = some_vlan(random);
      const IpAddress from = IpAddress::ipv6(source.data());
      std::vector<const RelayCounters*> want;
      size_t want_copies = 0;
      bool any = false;
      for (const Rule& rule : rules) {
        const bool to = rule.vlan == vlan && rule.group == IpAddress::ipv6(group.data());
        any = any || to;
        const auto names = [&](const std::vector<IpAddress>& sources) {
          return std::find(sources.begin(), sources.end(), from) != sources.end();
        };
        if (!to || (rule.port != 0 && rule.port != port)) continue;
        if (!rule.sources.empty() ? !names(rule.sources) : names(rule.excluded_sources)) continue;
        want.push_back(rule.counters);
        want_copies += rule.outputs.size();
      }
      std::vector<const RelayCounters*> found;
      size_t copies = 0;
      const size_t relays = table.match_ipv6(ip.data(), port, vlan, [&](const RuleMatch& match) {
        found.push_back(match.counters);
        copies += match.outputs.size();
      });
      std::sort(found.begin(), found.end());
      std::sort(want.begin(), want.end());
      CHECK_EQ(relays, found.size());
      CHECK(found == want);
      CHECK_EQ(copies, want_copies);
      CHECK(table.wants_ipv6(ip.data(), vlan) == any);
      matched += found.size();
    }
  }
  CHECK(matched > 1000);
}

}  // namespace

int main() {
  finds_ipv6_beside_ipv4();
  finds_what_a_walk_finds();
  holds_many();
}
