// Random routes over interfaces that come and go, against a model, by what the kernel says: a
// route reaches the interfaces it names and no others, whatever had or gets their slots.
#include "mroute/table_routes.h"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <string>

#include "check.h"
#include "mroute/kernel_state.h"
#include "own_namespace.h"
#include "veth_links.h"

using namespace mcfleet;
using namespace mcfleet::mroute;

namespace {

constexpr uint32_t kTable = 100;
// Few, so that they are used again and again.
constexpr std::size_t kUsedSlots = 6;
constexpr int kFirstIndex = 1000;
constexpr int kInterfaces = 8;

class Model final {
 public:
  explicit Model(unsigned seed) : random_(seed), routes_(open(), kUsedSlots) {
    for (int number = 0; number < kInterfaces; number++) add_interface(number);
  }

  void step() {
    const auto choice = random_() % 20;
    if (choice < 12) {
      set();
    } else if (choice < 17) {
      remove();
    } else {
      change_interface();
    }
    compare();
  }
  [[nodiscard]] int refused() const { return refused_; }
  [[nodiscard]] int cut_off() const { return cut_off_; }

 private:
  struct Known {
    MulticastRoute route;
    // That the kernel took out since the route was set, though one with the index may be back.
    std::set<int> lost;
  };

  static std::unique_ptr<MulticastTable> open() {
    auto table = MulticastTable::open(Family::ipv4, kTable);
    CHECK(table.ok());
    return std::move(table.value());
  }
  void add_interface(int number) {
    // Its old index again: a route that named it then must not reach it.
    const std::string name = "x" + std::to_string(number);
    ip_batch("link add name " + name + " index " + std::to_string(kFirstIndex + number) +
             " type veth peer name " + name + "-far\n");
    present_.insert(kFirstIndex + number);
  }
  void change_interface() {
    const int number = static_cast<int>(random_() % kInterfaces);
    const int ifindex = kFirstIndex + number;
    if (!present_.contains(ifindex)) return add_interface(number);
    ip_batch("link del dev x" + std::to_string(number) + "\n");
    present_.erase(ifindex);
    const auto found = routes_.refresh();
    CHECK(found.ok());
    std::set<RouteKey> told;
    for (const MulticastRoute& route : found.value()) told.insert(key_of(route));
    std::set<RouteKey> expected;
    for (auto& [key, known] : known_) {
      if (known.route.input == ifindex || known.route.outputs.contains(ifindex))
        known.lost.insert(ifindex);
      if (!known.lost.empty()) expected.insert(key);
    }
    CHECK(told == expected);
    cut_off_ += expected.empty() ? 0 : 1;
  }
  int any_interface() { return kFirstIndex + static_cast<int>(random_() % kInterfaces); }
  MulticastRoute any_route() {
    MulticastRoute route;
    if (random_() % 2 == 0) route.source = 0x0a000001 + static_cast<uint32_t>(random_() % 3);
    route.group = 0xef010101 + static_cast<uint32_t>(random_() % 3);
    route.input = any_interface();
    for (auto left = random_() % 4; left > 0; left--)
      route.outputs[any_interface()] = static_cast<uint8_t>(1 + random_() % 254);
    return route;
  }
  void set() {
    const MulticastRoute route = any_route();
    std::set<int> interfaces{route.input};
    for (const auto& [ifindex, threshold] : route.outputs) interfaces.insert(ifindex);
    const bool all_there = std::ranges::includes(present_, interfaces);
    const Status status = routes_.set(route);
    if (status.ok()) {
      CHECK(all_there);
      known_[key_of(route)] = {route, {}};
      return;
    }
    refused_++;
    CHECK(status.error().code == ENODEV || status.error().code == ENOSPC);
    if (!all_there) return;
    CHECK_EQ(status.error().code, ENOSPC);
    // With all that is named, the new route included, the slots would not do.
    std::set<std::pair<int, bool>> slots;
    for (const int ifindex : interfaces) slots.insert({ifindex, false});
    for (const auto& [key, known] : known_) {
      slots.insert({known.route.input, known.lost.contains(known.route.input)});
      for (const auto& [ifindex, threshold] : known.route.outputs)
        slots.insert({ifindex, known.lost.contains(ifindex)});
    }
    CHECK(slots.size() > kUsedSlots);
  }
  void remove() {
    if (known_.empty()) return;
    auto chosen = known_.begin();
    std::advance(chosen, random_() % known_.size());
    CHECK(routes_.remove(chosen->first).ok());
    known_.erase(chosen);
  }

  // What the kernel should say of the route.
  static std::string expected(const Known& known) {
    const MulticastRoute& route = known.route;
    const bool any = route.source.none();
    std::map<int, int> outputs(route.outputs.begin(), route.outputs.end());
    // Listed for any source, left out for one.
    outputs.erase(route.input);
    if (any) outputs[route.input] = 1;
    std::erase_if(outputs, [&](const auto& output) { return known.lost.contains(output.first); });
    return text(route.source, route.group, known.lost.contains(route.input) ? 0 : route.input,
                outputs);
  }
  static std::string text(const IpAddress& source, const IpAddress& group, int input,
                          const std::map<int, int>& outputs) {
    std::string result = std::to_string(source.ipv4()) + " " + std::to_string(group.ipv4()) +
                         " from " + std::to_string(input) + " to";
    for (const auto& [ifindex, threshold] : outputs)
      result += " " + std::to_string(ifindex) + ":" + std::to_string(threshold);
    return result;
  }
  void compare() {
    const auto dump = dump_routes(Family::ipv4);
    CHECK(dump.ok());
    std::multiset<std::string> kernel;
    for (const KernelRoute& route : dump.value()) {
      CHECK_EQ(route.table, kTable);
      kernel.insert(text(route.source, route.group, route.input,
                         {route.outputs.begin(), route.outputs.end()}));
    }
    std::multiset<std::string> model;
    for (const auto& [key, known] : known_) model.insert(expected(known));
    if (kernel != model) {
      for (const std::string& line : kernel) std::printf("kernel %s\n", line.c_str());
      for (const std::string& line : model) std::printf("model  %s\n", line.c_str());
    }
    CHECK(kernel == model);
    CHECK_EQ(routes_.size(), known_.size());
  }

  std::mt19937 random_;
  TableRoutes routes_;
  std::set<int> present_;
  std::map<RouteKey, Known> known_;
  int refused_ = 0;
  int cut_off_ = 0;
};

}  // namespace

int main() {
  if (!enter_own_namespace()) return kSkipped;
  Model model(20261120);
  for (int step = 0; step < 400; step++) model.step();
  // It was about something.
  CHECK(model.refused() > 0);
  CHECK(model.cut_off() > 0);
}
