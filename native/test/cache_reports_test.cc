// What the kernel asks about packets without a route, and filters that stop it from asking.
#include "mroute/cache_reports.h"

#include <chrono>
#include <mutex>
#include <string>
#include <vector>

#include "check.h"
#include "mroute/kernel_state.h"
#include "mroute/stop_filters.h"
#include "multicast_router.h"

using namespace mcfleet;
using namespace mcfleet::mroute;
using namespace router;

namespace {

using Counts = std::vector<size_t>;  // at out1, out2, out3 and in

// Keeps the reports of one kind.
class Heard final {
 public:
  explicit Heard(CacheReport::Kind kind) : kind_(kind) {
    auto started = CacheReports::start(
        {[this](const CacheReport& report) { keep(report); }, [](const Error&) { CHECK(false); }});
    CHECK(started.ok());
    reports_ = std::move(started.value());
  }
  std::vector<CacheReport> all() {
    const std::lock_guard lock(mutex_);
    return heard_;
  }
  bool wait_for(size_t count) {
    return eventually([&] { return all().size() >= count; });
  }
  CacheReports& reports() { return *reports_; }

 private:
  void keep(const CacheReport& report) {
    const std::lock_guard lock(mutex_);
    if (report.kind == kind_) heard_.push_back(report);
  }

  CacheReport::Kind kind_;
  std::mutex mutex_;
  std::vector<CacheReport> heard_;
  std::unique_ptr<CacheReports> reports_;
};

void set(TableRoutes& routes, const MulticastRoute& route) {
  CHECK(routes.set(route).ok());
}

MulticastRoute to_out1(const IpAddress& from, const IpAddress& to) {
  return {from, to, index_of("in"), {{index_of("out1"), 1}}};
}

void reports_unknown_packets(Family family, Ends& ends) {
  TableRoutes routes(open_table(family));
  set(routes, Ends::last_route(family));
  Heard heard(CacheReport::Kind::no_route);
  ends.send("in", datagram(source(family, 1), group(family, 1)));
  ends.send("in", datagram(source(family, 2), group(family, 1)));
  CHECK(heard.wait_for(2));
  const CacheReport report = heard.all()[1];
  CHECK(report.family == family);
  CHECK(report.source == source(family, 2) && report.group == group(family, 1));
  CHECK_EQ(routes.interface_of(report.slot), index_of("in"));
  CHECK_EQ(report.table.value_or(0), family == Family::ipv4 ? default_table(family) : 0);
}

void reports_wrong_interfaces(Family family, Ends& ends) {
  TableRoutes routes(open_table(family));
  set(routes, Ends::last_route(family));
  set(routes, to_out1(source(family, 1), group(family, 1)));
  CHECK(routes.table().report_wrong_interfaces(true).ok());
  Heard heard(CacheReport::Kind::wrong_interface);
  ends.send("out1", datagram(source(family, 1), group(family, 1)), 5);
  CHECK(heard.wait_for(1));
  CHECK_EQ(routes.interface_of(heard.all()[0].slot), index_of("out1"));
  CHECK((ends.counts(family) == Counts{0, 0, 0, 0}));
}

// 10,000 sources that nobody wants: so many reports, so many filters, and no packet lost of flows
// that are wanted.
void bounds_a_flood(Family family, Ends& ends) {
  constexpr uint32_t kFlood = 10000;
  constexpr size_t kFilters = 100;
  TableRoutes routes(open_table(family));
  set(routes, Ends::last_route(family));
  set(routes, to_out1(source(family, 1), group(family, 1)));
  set(routes, to_out1({}, group(family, 2)));
  Heard heard(CacheReport::Kind::no_route);
  const auto start = std::chrono::steady_clock::now();
  for (uint32_t number = 0; number < kFlood; number++) {
    ends.send("in", datagram(source(family, 1000 + number), group(family, 3)));
    if (number % 10 == 0) ends.send("in", datagram(source(family, 1), group(family, 1)));
    if (number % 10 == 0) ends.send("in", datagram(source(family, number), group(family, 2)));
  }
  CHECK((ends.counts(family) == Counts{kFlood / 10 * 2, 0, 0, 0}));
  // All that the kernel could tell has been read.
  CHECK(eventually([&] {
    const auto total = heard.all().size() + heard.reports().dropped();
    return total >= kFlood || (heard.reports().overflows() > 0 && heard.all().size() > kFilters);
  }));
  const auto reports = heard.all();
  const auto passed = std::chrono::steady_clock::now() - start;
  const auto seconds = std::chrono::duration<double>(passed).count();
  CHECK(static_cast<double>(reports.size()) <= (seconds + 1) * CacheReports::kPerSecond + 1);
  StopFilters filters(routes, {kFilters, std::chrono::seconds(60)});
  const auto now = StopFilters::Clock::now();
  for (const CacheReport& report : reports) {
    CHECK(report.group == group(family, 3));
    CHECK(filters.stop(report.source, report.group, routes.interface_of(report.slot), now).ok());
  }
  CHECK_EQ(filters.size(), kFilters);
  CHECK(filters.refused() >= reports.size() - kFilters);
  CHECK_EQ(routes.size(), kFilters + 3);
  CHECK(filters.expire(now + std::chrono::seconds(59)).ok());
  CHECK_EQ(filters.size(), kFilters);
  CHECK(filters.expire(now + std::chrono::seconds(60)).ok());
  CHECK_EQ(filters.size(), 0U);
  CHECK_EQ(routes.size(), 3U);
}

size_t written(Family family) {
  size_t count = 0;
  const auto found = dump_routes(family);
  CHECK(found.ok());
  for (const KernelRoute& route : found.value()) count += route.unresolved ? 0 : 1;
  return count;
}

// A filter stops its flow and no other, and never a route.
void never_stops_a_route(Family family, Ends& ends) {
  TableRoutes routes(open_table(family));
  set(routes, Ends::last_route(family));
  StopFilters filters(routes, {10, std::chrono::seconds(60)});
  const auto now = StopFilters::Clock::now();
  const int in = index_of("in");
  const IpAddress to = group(family, 1);
  CHECK(filters.stop(source(family, 1), to, in, now).ok());
  CHECK(filters.stop(source(family, 2), to, in, now).ok());
  CHECK_EQ(written(family), 3U);
  Heard heard(CacheReport::Kind::no_route);
  ends.send("in", datagram(source(family, 1), to), 10);
  ends.send("in", datagram(source(family, 3), to));
  CHECK(heard.wait_for(1));
  CHECK(heard.all()[0].source == source(family, 3));
  // A route takes the place of the filter; the next filter leaves it alone.
  const MulticastRoute wanted = to_out1(source(family, 1), to);
  CHECK(filters.make_way(wanted).ok());
  set(routes, wanted);
  CHECK(filters.stop(source(family, 1), to, in, now).ok());
  CHECK_EQ(filters.size(), 1U);
  ends.send("in", datagram(source(family, 1), to), 10);
  CHECK((ends.counts(family) == Counts{10, 0, 0, 0}));
  // One for any source has all filters of the group out of its way, now and later.
  CHECK(routes.remove(key_of(wanted)).ok());
  const MulticastRoute any = to_out1({}, to);
  CHECK(filters.make_way(any).ok());
  set(routes, any);
  CHECK_EQ(filters.size(), 0U);
  CHECK(filters.stop(source(family, 2), to, index_of("out1"), now).ok());
  CHECK_EQ(filters.size(), 0U);
  ends.send("in", datagram(source(family, 1), to), 10);
  ends.send("in", datagram(source(family, 2), to), 10);
  CHECK((ends.counts(family) == Counts{20, 0, 0, 0}));
  CHECK_EQ(written(family), 2U);
}

}  // namespace

int main() {
  return run_on_one_processor([](Ends& ends) {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
      reports_unknown_packets(family, ends);
      reports_wrong_interfaces(family, ends);
      never_stops_a_route(family, ends);
      bounds_a_flood(family, ends);
    }
  });
}
