#include "mroute/stop_filters.h"

namespace mcfleet::mroute {

Status StopFilters::stop(const IpAddress& source, const IpAddress& group, int input,
                         Clock::time_point now) {
  const RouteKey key{source, group, 0};
  if (source.none() || routes_.contains(source, group) || routes_.contains({}, group) ||
      routes_.contains({}, {})) {
    return {};
  }
  if (filters_.size() >= options_.most) {
    refused_++;
    return {};
  }
  if (Status set = routes_.set({source, group, input, {}}); !set.ok()) return set;
  filters_[key] = now + options_.lifetime;
  return {};
}

Status StopFilters::make_way(const MulticastRoute& route) {
  return remove_if([&](const RouteKey& key, Clock::time_point) {
    const bool same_group = route.group.none() || key.group == route.group;
    return same_group && (route.source.none() || key.source == route.source);
  });
}

Status StopFilters::expire(Clock::time_point now) {
  return remove_if([&](const RouteKey&, Clock::time_point end) { return end <= now; });
}

template <typename Condition>
Status StopFilters::remove_if(Condition condition) {
  for (auto at = filters_.begin(); at != filters_.end();) {
    if (!condition(at->first, at->second)) {
      at++;
      continue;
    }
    if (Status removed = routes_.remove(at->first); !removed.ok()) return removed;
    at = filters_.erase(at);
  }
  return {};
}

}  // namespace mcfleet::mroute
