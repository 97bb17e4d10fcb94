// Random changes, compared with a plain map.
#include "forwarder/rule_set.h"

#include <map>
#include <random>

#include "check.h"

using namespace mcfleet;

int main() {
  RuleSet set;
  std::map<std::string, uint32_t> expected;
  std::mt19937 random(7);
  for (uint32_t i = 0; i < 20'000; i++) {
    const std::string uid = "relay-" + std::to_string(random() % 50);
    if (random() % 3 == 0) {
      set.erase(uid);
      expected.erase(uid);
    } else {
      Rule rule;
      rule.group = i;
      set.put(uid, rule);
      expected[uid] = i;
    }
    std::multimap<uint32_t, bool> groups;
    for (const auto& [_, group] : expected) groups.emplace(group, true);
    CHECK_EQ(set.rules().size(), expected.size());
    for (const Rule& rule : set.rules()) {
      const auto found = groups.find(rule.group.ipv4());
      CHECK(found != groups.end());
      groups.erase(found);
    }
    CHECK(groups.empty());
  }
}
