// Random relays over tables, against a model of how the kernel looks routes up: each packet leaves
// by the outputs of all relays that match it, and no others.
#include "mroute/placement.h"

#include <random>
#include <set>

#include "check.h"

using namespace mcfleet;
using namespace mcfleet::mroute;

namespace {

constexpr int kInterfaces = 9;
constexpr uint32_t kGroup = 0xef010101;
constexpr uint32_t kSource = 0x0a000001;

using Outputs = std::map<int, uint8_t>;

// As ip_mr_input and ip_mr_forward go through one table (net/ipv4/ipmr.c); interfaces instead of
// slots. Entries of one key in either order: the kernel's hash lists promise none.
class KernelTable final {
 public:
  KernelTable(std::vector<MulticastRoute> routes, bool newest_first) {
    for (const MulticastRoute& route : routes) {
      // Interfaces are their own slots.
      Entry entry{route.source, route.group, route.input, route.outputs};
      if (route.source.none()) {
        entry.lists[route.input] = 1;
        if (route.group.none()) entry.parent = route.outputs.begin()->first;
      } else {
        entry.lists.erase(route.input);
      }
      entries_.insert(newest_first ? entries_.begin() : entries_.end(), entry);
    }
  }
  [[nodiscard]] Outputs forward(uint32_t source, uint32_t group, int input) const {
    const Entry* entry = find(source, group, input);
    if (entry == nullptr) return {};
    bool go = false;
    if (entry->source.none()) {
      const Entry* proxy = any_group(entry->parent);
      go = proxy != nullptr && proxy->lists.contains(input);
    }
    if (!go && entry->parent != input) return {};
    if (entry->source.none() && entry->group.none()) {
      if (input == entry->parent) return {};
      return {{entry->parent, entry->lists.at(entry->parent)}};
    }
    Outputs outputs = entry->lists;
    if (entry->source.none()) outputs.erase(input);
    return outputs;
  }

 private:
  struct Entry {
    IpAddress source;
    IpAddress group;
    int parent;
    Outputs lists;
  };
  [[nodiscard]] const Entry* any_group(int interface) const {
    for (const Entry& entry : entries_) {
      if (entry.source.none() && entry.group.none() && entry.lists.contains(interface))
        return &entry;
    }
    return nullptr;
  }
  [[nodiscard]] const Entry* find(uint32_t source, uint32_t group, int input) const {
    for (const Entry& entry : entries_) {
      if (entry.source == IpAddress(source) && entry.group == IpAddress(group)) return &entry;
    }
    for (const Entry& entry : entries_) {
      if (!entry.source.none() || entry.group != IpAddress(group)) continue;
      if (entry.lists.contains(input)) return &entry;
      const Entry* proxy = any_group(entry.parent);
      if (proxy != nullptr && proxy->lists.contains(input)) return &entry;
    }
    return any_group(input);
  }

  std::vector<Entry> entries_;
};

std::vector<RelayRoutes> random_relays(std::mt19937& random) {
  const auto below = [&](uint32_t end) { return static_cast<uint32_t>(random() % end); };
  std::vector<RelayRoutes> relays(1 + below(8));
  for (std::size_t number = 0; number < relays.size(); number++) {
    relays[number].relay = "relay" + std::to_string(number);
    for (auto left = 1 + below(2); left > 0; left--) {
      MulticastRoute route;
      route.input = 1 + static_cast<int>(below(kInterfaces));
      const auto kind = below(10);
      if (kind < 9) route.group = kGroup + below(2);
      if (kind < 5) route.source = kSource + below(2);
      do {
        route.outputs[1 + static_cast<int>(below(kInterfaces))] =
            static_cast<uint8_t>(1 + below(254));
        route.outputs.erase(route.input);
      } while (route.outputs.empty() || (kind < 9 && below(2) == 0));
      relays[number].routes.push_back(route);
    }
  }
  return relays;
}

// By the relays that were not refused.
Outputs wanted(const std::vector<RelayRoutes>& relays, const Placement& placement, uint32_t source,
               uint32_t group, int input) {
  Outputs outputs;
  for (const RelayRoutes& relay : relays) {
    if (placement.refused.contains(relay.relay)) continue;
    for (const MulticastRoute& route : relay.routes) {
      if (route.input != input) continue;
      if (!route.source.none() && route.source != IpAddress(source)) continue;
      if (!route.group.none() && route.group != IpAddress(group)) continue;
      for (const auto& [ifindex, threshold] : route.outputs) {
        const auto [at, added] = outputs.emplace(ifindex, threshold);
        if (!added && threshold < at->second) at->second = threshold;
      }
    }
  }
  return outputs;
}

void serves_all(const std::vector<RelayRoutes>& relays, const Placement& placement,
                std::size_t tables, std::size_t slots) {
  std::vector<std::vector<MulticastRoute>> contents(tables);
  for (const MulticastRoute& route : placement.routes) {
    CHECK(validate(Family::ipv4, route).ok());
    contents.at(placement.tables.at(route.input)).push_back(route);
  }
  for (const auto& routes : contents) {
    std::set<int> interfaces;
    for (const MulticastRoute& route : routes) {
      interfaces.insert(route.input);
      for (const auto& [ifindex, threshold] : route.outputs) interfaces.insert(ifindex);
    }
    CHECK(interfaces.size() <= slots);
  }
  for (const auto& [input, table] : placement.tables) {
    for (const bool newest_first : {false, true}) {
      const KernelTable kernel(contents[table], newest_first);
      for (uint32_t group = kGroup; group < kGroup + 3; group++) {
        for (uint32_t source = kSource; source < kSource + 3; source++)
          CHECK(kernel.forward(source, group, input) ==
                wanted(relays, placement, source, group, input));
      }
    }
  }
}

// What arrives on an interface that is an output alone comes to no table by a rule; and in the
// table that it would come to without, none takes it.
void takes_no_others(const Placement& placement, std::size_t tables) {
  std::vector<std::vector<MulticastRoute>> contents(tables);
  for (const MulticastRoute& route : placement.routes)
    contents[placement.tables.at(route.input)].push_back(route);
  for (const auto& routes : contents) {
    const KernelTable kernel(routes, false);
    for (int interface = 1; interface <= kInterfaces; interface++) {
      if (placement.tables.contains(interface)) continue;
      CHECK(kernel.forward(kSource, kGroup, interface).empty());
    }
  }
}

void refuses_with_reason(const std::vector<RelayRoutes>& relays, std::size_t slots) {
  // With as many tables as inputs, room is wanting in none.
  const Placement placement = place(relays, {}, kInterfaces, slots);
  for (const auto& [relay, refusal] : placement.refused)
    CHECK(refusal != Refusal::tables_exhausted);
  // A relay alone is refused for its own sake.
  for (const RelayRoutes& relay : relays) {
    const Placement alone = place({relay}, {}, kInterfaces, kInterfaces);
    for (const auto& [name, refusal] : alone.refused) CHECK(refusal == Refusal::routes_conflict);
  }
}

}  // namespace

int main() {
  std::set<Refusal> seen;
  std::size_t spread = 0;
  for (unsigned seed = 1; seed <= 1500; seed++) {
    std::mt19937 random(seed);
    const std::vector<RelayRoutes> relays = random_relays(random);
    const std::size_t tables = 1 + random() % 4;
    const std::size_t slots = 4 + random() % 6;
    const Placement placement = place(relays, {}, tables, slots);
    serves_all(relays, placement, tables, slots);
    takes_no_others(placement, tables);
    refuses_with_reason(relays, slots);
    for (const auto& [relay, refusal] : placement.refused) seen.insert(refusal);
    for (const auto& [input, table] : placement.tables) spread += table > 0 ? 1 : 0;
    // What is placed stays.
    if (placement.refused.empty())
      CHECK(place(relays, placement.tables, tables, slots).tables == placement.tables);
  }
  CHECK_EQ(seen.size(), 3U);
  CHECK(spread > 0);
}
