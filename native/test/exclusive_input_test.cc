// What relays take from an input is kept from the host: what is asked for, and how much of it.
#include "forwarder/exclusive_input.h"

#include <set>

#include "check.h"
#include "own_namespace.h"

using namespace mcfleet;

namespace {

constexpr uint32_t kGroup = 0xef000000;
constexpr uint16_t kPort = 5001;

Rule rule(IpAddress address, uint16_t port) {
  Rule rule;
  rule.group = address;
  rule.port = port;
  return rule;
}

std::vector<Rule> many(uint32_t count, uint32_t from = 0) {
  std::vector<Rule> rules;
  for (uint32_t i = from; i < from + count; i++) rules.push_back(rule(kGroup + i, kPort));
  return rules;
}

void asks_for_what_rules_take_entirely() {
  std::vector<Rule> rules = {rule(kGroup, kPort), rule(kGroup + 1, 0), rule(0x0a000001, kPort),
                             rule(kGroup, kPort)};
  CHECK_EQ(claimable(rules).claims.size(), 3U);
  CHECK_EQ(claimable(rules).shared_rules, 0U);

  Rule some = rule(kGroup + 2, kPort);
  some.sources = {0x0a000002};
  Rule others = rule(kGroup + 3, kPort);
  others.excluded_sources = {0x0a000002};
  Rule tagged = rule(kGroup + 4, kPort);
  tagged.vlan = 7;
  // What the host itself has asked for comes to its address as well.
  const Rule all_ports = rule(0x0a000001, 0);
  const Claimable shared = claimable({some, others, tagged, all_ports});
  CHECK_EQ(shared.claims.size(), 0U);
  CHECK_EQ(shared.shared_rules, 4U);

  // Another rule takes what these leave.
  rules = {some, rule(kGroup + 2, 0)};
  CHECK((claimable(rules).claims == std::vector<Claim>{{kGroup + 2, 0}}));
}

void check_held(const ExclusiveInput& input, size_t destinations, size_t left_out) {
  const ExclusiveStatus status = input.status();
  CHECK(status.active);
  CHECK_EQ(status.destinations, destinations);
  CHECK_EQ(status.left_out, left_out);
}

void change(ExclusiveInput& input, const std::vector<Rule>& rules) {
  input.give_up(rules);
  input.claim(rules);
}

void tells_what_does_not_fit() {
  constexpr uint32_t kMax = ClaimedLink::kMaxClaims;
  ExclusiveInput input(kLoopback);
  input.refresh(true);
  check_held(input, 0, 0);
  change(input, many(kMax + 6));
  check_held(input, kMax, 6);
  // Room that became free is used.
  change(input, many(kMax, 3));
  check_held(input, kMax, 0);
  // What rules take no longer is given up before they change.
  input.give_up(many(5, kMax + 100));
  check_held(input, 0, 5);
  input.claim(many(5, kMax + 100));
  check_held(input, 5, 0);
}

void ends_with_what_is_received() {
  ExclusiveInput input(kLoopback);
  input.refresh(true);
  change(input, many(3));
  input.refresh(false);
  CHECK(!input.status().active);
  CHECK_EQ(input.status().destinations, 0U);
  input.refresh(true);
  check_held(input, 3, 0);
}

void says_why_not() {
  constexpr int kNone = 12345;
  ExclusiveInput input(kNone);
  input.refresh(true);
  CHECK(!input.status().active);
  CHECK(!input.status().reason.empty());
  change(input, many(3));
  CHECK_EQ(input.status().destinations, 0U);
}

// A bridge 10 with the ports 1 and 2, a VLAN 20 on the bridge, a macvlan 30 on 3.
void finds_what_lies_above() {
  const std::multimap<int, int> lower{{10, 1}, {10, 2}, {20, 10}, {30, 3}};
  const auto above = [&](const std::vector<int>& inputs) {
    return interfaces_above(inputs, lower);
  };
  CHECK(above({1, 2, 3}).empty());
  CHECK((above({1, 20}) == std::map<int, int>{{10, 20}, {1, 20}, {2, 20}}));
  CHECK((above({3, 30, 10}) == std::map<int, int>{{3, 30}, {1, 10}, {2, 10}}));
  // The kernel allows for none.
  CHECK((interfaces_above({1}, {{1, 2}, {2, 1}}) == std::map<int, int>{{2, 1}}));
}

}  // namespace

int main() {
  asks_for_what_rules_take_entirely();
  finds_what_lies_above();
  if (!enter_own_namespace()) return kSkipped;
  says_why_not();
  ExclusiveInput input(kLoopback);
  input.refresh(true);
  if (!input.status().active) {
    // What is left needs capabilities in the first user namespace, and Linux 6.6.
    std::printf("skipped: %s\n", input.status().reason.c_str());
    return kSkipped;
  }
  tells_what_does_not_fit();
  ends_with_what_is_received();
}
