// Filter and rule table see one packet alike: on random rule sets and packets, what the kernel lets
// pass is what a relay wants, but for sources, which the table alone tells apart.
#include <algorithm>
#include <optional>

#include "check.h"
#include "filter_kernel.h"
#include "forwarder/rule_table.h"
#include "packet/parse.h"
#include "packets.h"

using namespace mcfleet;
using packets::Bytes;

namespace {

constexpr size_t kEthernet = 14;

// Few values, so that rules overlap and packets often miss by one of them alone.
uint32_t some_address(std::mt19937& random) {
  const auto choice = static_cast<uint32_t>(random() % 8);
  return (choice < 2 ? 0x0a000001 : 0xef000000) + choice;
}
uint16_t some_port(std::mt19937& random) {
  return static_cast<uint16_t>(5000 + random() % 5);
}
uint16_t some_vlan(std::mt19937& random) {
  const uint16_t vlans[] = {0, 0, 0, 7, 4094};
  return vlans[random() % 5];
}
uint32_t some_source(std::mt19937& random) {
  return 0x0a636301 + static_cast<uint32_t>(random() % 5);
}

std::vector<Rule> random_rules(std::mt19937& random, bool sources, RelayCounters& counters) {
  std::vector<Rule> rules(1 + random() % 30);
  for (Rule& rule : rules) {
    rule.group = some_address(random);
    rule.port = random() % 5 == 0 ? uint16_t{0} : some_port(random);
    rule.vlan = some_vlan(random);
    rule.counters = &counters;
    if (!sources) continue;
    const auto kind = random() % 3;
    if (kind == 0) continue;
    std::vector<IpAddress>& list = kind == 1 ? rule.sources : rule.excluded_sources;
    for (size_t i = 1 + random() % 3; i > 0; i--) list.push_back(some_source(random));
    std::sort(list.begin(), list.end());
  }
  return rules;
}

struct Verdicts {
  // By a walk over all rules: those that want it, and those that would from another source.
  size_t wanting = 0;
  bool but_for_source = false;
};

Verdicts walk(const std::vector<Rule>& rules, const packets::Spec& packet, uint16_t vlan) {
  Verdicts verdicts;
  for (const Rule& rule : rules) {
    if (rule.group != packet.destination || rule.vlan != vlan) continue;
    if (rule.port != 0 && rule.port != packet.destination_port) continue;
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
  return table.match(datagram.destination, datagram.destination_port, datagram.source, vlan,
                     [](const RuleMatch&) {});
}

struct Seen {
  size_t wanted = 0;
  size_t passed_for_source = 0;
  size_t refused = 0;
  size_t coarse = 0;
};

packets::Spec some_packet(std::mt19937& random) {
  packets::Spec spec = packets::random_spec(random, 60);
  spec.source = some_source(random);
  spec.destination = some_address(random);
  spec.destination_port = some_port(random);
  return spec;
}

void compare(std::mt19937& random, const std::vector<Rule>& rules, const Filter& filter,
             const RuleTable& table, size_t link_header, Kernel& kernel, Seen& seen) {
  // Untagged, with a priority alone, and tagged: with VLANs of rules and one of none.
  for (const int tag : {-1, 0xe000, 7, 0x6000 + 4094, 8}) {
    const auto tci = static_cast<uint16_t>(tag);
    const auto vlan = static_cast<uint16_t>(tag < 0 ? 0 : tag & 0x0fff);
    kernel.load(filter, tag < 0 ? nullptr : &tci);
    for (int i = 0; i < 30; i++) {
      const packets::Spec spec = some_packet(random);
      const Bytes packet = packets::ip_packet(spec);
      const Bytes frame = link_header == 0 ? packet : packets::frame(packet);
      const Verdicts expected = walk(rules, spec, vlan);
      const bool passes = kernel.passes(frame);
      CHECK_EQ(matches(table, frame, link_header, vlan), expected.wanting);
      if (filter.exact) {
        CHECK(passes == expected.but_for_source);
      } else {
        CHECK(passes || !expected.but_for_source);
        seen.coarse++;
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
      for (size_t n = 1 + random() % 3; n > 0; n--) {
        damaged[link_header + random() % 28] = static_cast<uint8_t>(random());
      }
      if (random() % 4 == 0)
        damaged.resize(link_header + random() % (damaged.size() - link_header));
      if (matches(table, damaged, link_header, vlan) > 0) CHECK(kernel.passes(damaged));
    }
  }
}

void agree() {
  std::mt19937 random(77);
  Kernel kernel;
  RelayCounters counters;
  Seen seen;
  for (int round = 0; round < 400; round++) {
    const bool sources = round % 2 == 0;
    const std::vector<Rule> rules = random_rules(random, sources, counters);
    const RuleTable table(rules);
    std::vector<FilterTarget> targets;
    for (const Rule& rule : rules) targets.push_back({rule.group, rule.port, rule.vlan});
    const size_t link_header = round % 3 == 0 ? 0 : kEthernet;
    // Now and then as if there were too many.
    const bool coarse = round % 8 >= 6;
    const Filter filter =
        coarse ? compile_coarse_filter(targets, link_header) : compile_filter(targets, link_header);
    CHECK(filter.exact == !coarse);
    compare(random, rules, filter, table, link_header, kernel, seen);
  }
  CHECK(seen.wanted > 5000 && seen.passed_for_source > 500 && seen.refused > 5000);
  CHECK(seen.coarse > 5000);
}

}  // namespace

int main() {
  agree();
}
