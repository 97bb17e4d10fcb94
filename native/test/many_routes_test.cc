// 10,000 routes are placed, written, read back, and changed. Says how long that takes.
#include <chrono>
#include <cstdio>
#include <set>
#include <string>
#include <vector>

#include "check.h"
#include "mroute/kernel_state.h"
#include "mroute/placement.h"
#include "mroute/table_routes.h"
#include "multicast_router.h"
#include "own_namespace.h"

using namespace mcfleet;
using namespace mcfleet::mroute;
using namespace router;

namespace {

constexpr uint32_t kRoutes = 10000;

class Stopwatch final {
 public:
  // Since the last call, in milliseconds.
  double lap() {
    const auto now = std::chrono::steady_clock::now();
    const std::chrono::duration<double, std::milli> passed = now - last_;
    last_ = now;
    return passed.count();
  }

 private:
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

std::size_t with_output(Family family, int ifindex) {
  const auto found = dump_routes(family);
  CHECK(found.ok());
  std::set<RouteKey> keys;
  std::size_t count = 0;
  for (const KernelRoute& route : found.value()) {
    CHECK(keys.insert({route.source, route.group, 0}).second);
    count += route.outputs.contains(ifindex) ? 1 : 0;
  }
  CHECK_EQ(keys.size(), kRoutes);
  return count;
}

void writes_all(Family family) {
  const int in = index_of("in");
  const int out1 = index_of("out1");
  const int out2 = index_of("out2");
  std::vector<RelayRoutes> relays;
  for (uint32_t number = 0; number < kRoutes; number++) {
    relays.push_back({"relay" + std::to_string(number),
                      {{source(family, 1 + number), group(family, number % 50), in, {{out1, 1}}}}});
  }
  Stopwatch watch;
  const Placement placement = place(relays, {}, 4);
  const double placed = watch.lap();
  CHECK_EQ(placement.routes.size(), kRoutes);
  CHECK(placement.refused.empty());
  TableRoutes routes(open_table(family));
  watch.lap();
  for (const MulticastRoute& route : placement.routes) CHECK(routes.set(route).ok());
  const double written = watch.lap();
  CHECK_EQ(with_output(family, out1), kRoutes);
  MulticastRoute changed = placement.routes[kRoutes / 2];
  changed.outputs[out2] = 1;
  watch.lap();
  CHECK(routes.set(changed).ok());
  const double change = watch.lap();
  CHECK_EQ(with_output(family, out2), 1U);
  std::printf("%u routes: placed in %.0f ms, written in %.0f ms; one changed in %.2f ms\n", kRoutes,
              placed, written, change);
}

}  // namespace

int main() {
  if (!enter_own_namespace()) return kSkipped;
  add_links(kLinks);
  for (const Family family : {Family::ipv4, Family::ipv6}) writes_all(family);
}
