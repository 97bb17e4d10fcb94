#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>

#include "base/result.h"
#include "mroute/table_routes.h"

namespace mcfleet::mroute {

// Routes without outputs, which keep packets that nobody wants from being reported again and again.
// They are bounded in number and time, and never in the way of a route. One thread.
class StopFilters final {
 public:
  using Clock = std::chrono::steady_clock;
  struct Options final {
    // At the bound, what is new is not filtered; that costs reports, which are bounded too.
    std::size_t most = 1000;
    std::chrono::milliseconds lifetime{60000};
  };

  StopFilters(TableRoutes& routes, const Options& options) : routes_(routes), options_(options) {}

  // Stops a flow that no route wants. Does nothing if a route might want it: an entry of its source
  // would go before one of any source.
  [[nodiscard]] Status stop(const IpAddress& source, const IpAddress& group, int input,
                            Clock::time_point now);
  // To be called before a route is set: takes away filters that would go before it.
  [[nodiscard]] Status make_way(const MulticastRoute& route);
  // Takes away what is too old.
  [[nodiscard]] Status expire(Clock::time_point now);

  [[nodiscard]] std::size_t size() const { return filters_.size(); }
  // Flows that were not stopped since there were too many.
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  template <typename Condition>
  [[nodiscard]] Status remove_if(Condition condition);

  TableRoutes& routes_;
  Options options_;
  // When each ends.
  std::map<RouteKey, Clock::time_point> filters_;
  std::uint64_t refused_ = 0;
};

}  // namespace mcfleet::mroute
