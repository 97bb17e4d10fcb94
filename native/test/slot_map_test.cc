// Random routes come and go. A route that was deleted still means its slots until the quarantine
// ends, as for a packet that the kernel is forwarding: none of them may get another interface.
#include "mroute/slot_map.h"

#include <array>
#include <map>
#include <random>
#include <set>

#include "check.h"

using namespace mcfleet::mroute;

namespace {

using Random = std::mt19937;

struct Route {
  std::map<Slot, int> interfaces;
};

class Model final {
 public:
  explicit Model(Random& random, std::size_t count) : random_(random), map_(count) {}

  void step() {
    const auto choice = random_() % 10;
    if (choice < 5) {
      add();
    } else if (choice < 8) {
      remove();
    } else if (choice < 9) {
      lose();
    } else {
      map_.end_quarantine();
      deleted_.clear();
    }
    check();
  }
  [[nodiscard]] std::size_t refused() const { return refused_; }

 private:
  // Slots that mean something, to a route or to one that was deleted.
  std::map<Slot, std::set<int>> meant() const {
    std::map<Slot, std::set<int>> result;
    for (const auto* routes : {&routes_, &deleted_}) {
      for (const Route& route : *routes) {
        for (const auto& [slot, ifindex] : route.interfaces) result[slot].insert(ifindex);
      }
    }
    return result;
  }
  void add() {
    Route route;
    std::set<int> wanted;
    for (auto left = 1 + random_() % 4; left > 0; left--)
      wanted.insert(1 + static_cast<int>(random_() % 9));
    for (const int ifindex : wanted) {
      const std::size_t before = meant().size();
      const auto taken = map_.take(ifindex);
      if (!taken) {
        // Only when each slot is meant by something.
        std::set<Slot> all;
        for (const auto& [slot, meaning] : meant()) all.insert(slot);
        for (const auto& [slot, unused] : route.interfaces) all.insert(slot);
        CHECK_EQ(all.size(), map_.count());
        refused_++;
        break;
      }
      CHECK(before <= map_.count());
      CHECK_EQ(map_.interface_of(taken->slot), ifindex);
      route.interfaces[taken->slot] = ifindex;
    }
    routes_.push_back(route);
  }
  void remove() {
    if (routes_.empty()) return;
    const auto chosen = routes_.begin() + static_cast<long>(random_() % routes_.size());
    for (const auto& [slot, ifindex] : chosen->interfaces) map_.release(slot);
    deleted_.push_back(*chosen);
    routes_.erase(chosen);
  }
  void lose() {
    const auto slot = static_cast<Slot>(random_() % map_.count());
    if (map_.interface_of(slot) != 0) map_.lose(slot);
  }
  void check() {
    for (const auto& [slot, meaning] : meant()) {
      CHECK_EQ(meaning.size(), 1U);
      const int now = map_.interface_of(slot);
      CHECK(now == 0 || meaning.contains(now));
    }
    std::set<int> seen;
    for (std::size_t slot = 0; slot < map_.count(); slot++) {
      const int ifindex = map_.interface_of(static_cast<Slot>(slot));
      if (ifindex != 0) CHECK(seen.insert(ifindex).second);
    }
  }

  Random& random_;
  SlotMap map_;
  std::vector<Route> routes_;
  std::vector<Route> deleted_;
  std::size_t refused_ = 0;
};

}  // namespace

int main() {
  std::size_t refused = 0;
  for (unsigned seed = 1; seed <= 60; seed++) {
    Random random(seed);
    Model model(random, 3 + seed % 6);
    for (int step = 0; step < 300; step++) model.step();
    refused += model.refused();
  }
  CHECK(refused > 0);
}
