#include "mroute/placement.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace mcfleet::mroute {

namespace {

using Routes = std::vector<MulticastRoute>;

bool names(const MulticastRoute& route, int ifindex) {
  return route.input == ifindex || route.outputs.contains(ifindex);
}

bool share_an_interface(const MulticastRoute& left, const MulticastRoute& right) {
  return names(left, right.input) || std::ranges::any_of(right.outputs, [&](const auto& output) {
           return names(left, output.first);
         });
}

// What one table would hold.
class Table final {
 public:
  explicit Table(std::size_t slots) : slots_(slots) {}

  // Of routes from one input that do not conflict with each other.
  [[nodiscard]] bool fits(const Routes& routes) const {
    std::map<int, std::size_t> interfaces = interfaces_;
    for (const MulticastRoute& route : routes) {
      if (conflicts(route)) return false;
      count(interfaces, route);
    }
    return interfaces.size() <= slots_;
  }
  void add(const Routes& routes) {
    for (const MulticastRoute& route : routes) {
      count(interfaces_, route);
      routes_.emplace(route.group, route);
    }
  }
  // What was added last of the input.
  void remove(const Routes& routes) {
    for (const MulticastRoute& route : routes) {
      auto [begin, end] = routes_.equal_range(route.group);
      routes_.erase(std::find_if(begin, end, [&](const auto& at) { return at.second == route; }));
      discount(route.input);
      for (const auto& [ifindex, threshold] : route.outputs) discount(ifindex);
    }
  }
  [[nodiscard]] bool conflicts(const MulticastRoute& route) const {
    const auto disturbed = [&](const auto& at) { return disturb_each_other(at.second, route); };
    if (route.group.none()) return std::ranges::any_of(routes_, disturbed);
    for (const IpAddress& group : {route.group, IpAddress()}) {
      const auto [begin, end] = routes_.equal_range(group);
      if (std::any_of(begin, end, disturbed)) return true;
    }
    return false;
  }

 private:
  static void count(std::map<int, std::size_t>& interfaces, const MulticastRoute& route) {
    interfaces[route.input]++;
    for (const auto& [ifindex, threshold] : route.outputs) interfaces[ifindex]++;
  }
  void discount(int ifindex) {
    if (--interfaces_[ifindex] == 0) interfaces_.erase(ifindex);
  }

  std::size_t slots_;
  std::map<int, std::size_t> interfaces_;
  std::multimap<IpAddress, MulticastRoute> routes_;
};

class Placer final {
 public:
  Placer(const std::map<int, std::size_t>& current, std::size_t tables, std::size_t slots)
      : current_(current), slots_(slots), tables_(tables, Table(slots)) {}

  // All of the relay's routes or none.
  std::optional<Refusal> add(const RelayRoutes& relay) {
    std::map<int, Routes> by_input;
    for (const MulticastRoute& route : relay.routes) by_input[route.input].push_back(route);
    std::vector<int> done;
    for (const auto& [input, routes] : by_input) {
      const auto refused = add(input, routes);
      if (!refused) {
        done.push_back(input);
        continue;
      }
      for (const int other : done) take_back(other, by_input[other]);
      return refused;
    }
    return std::nullopt;
  }

  [[nodiscard]] const std::map<int, std::size_t>& table_of() const { return table_of_; }
  [[nodiscard]] const std::map<int, Routes>& routes() const { return routes_; }

 private:
  std::optional<Refusal> add(int input, const Routes& added) {
    Routes all = routes_[input];
    all.insert(all.end(), added.begin(), added.end());
    if (const auto refused = alone(all)) {
      if (routes_[input].empty()) routes_.erase(input);
      return refused;
    }
    const auto placed = table_of_.find(input);
    const std::optional<std::size_t> old =
        placed == table_of_.end() ? std::nullopt : std::optional(placed->second);
    if (old) tables_[*old].remove(routes_[input]);
    const auto table = find(input, all);
    if (!table) {
      if (old) tables_[*old].add(routes_[input]);
      if (routes_[input].empty()) routes_.erase(input);
      return Refusal::tables_exhausted;
    }
    tables_[*table].add(all);
    table_of_[input] = *table;
    routes_[input] = std::move(all);
    return std::nullopt;
  }
  // Whether the routes of one input fit into a table of their own.
  [[nodiscard]] std::optional<Refusal> alone(const Routes& routes) const {
    Table table(slots_);
    for (const MulticastRoute& route : routes) {
      if (table.conflicts(route)) return Refusal::routes_conflict;
      if (!table.fits({route})) return Refusal::slots_exhausted;
      table.add({route});
    }
    return std::nullopt;
  }
  // Where it is, where it was, or the first that has room.
  [[nodiscard]] std::optional<std::size_t> find(int input, const Routes& routes) const {
    for (const auto* known : {&table_of_, &current_}) {
      const auto at = known->find(input);
      if (at != known->end() && at->second < tables_.size() && tables_[at->second].fits(routes))
        return at->second;
    }
    for (std::size_t table = 0; table < tables_.size(); table++) {
      if (tables_[table].fits(routes)) return table;
    }
    return std::nullopt;
  }
  void take_back(int input, const Routes& added) {
    Routes& all = routes_[input];
    Table& table = tables_[table_of_[input]];
    table.remove(all);
    all.resize(all.size() - added.size());
    table.add(all);
    if (!all.empty()) return;
    routes_.erase(input);
    table_of_.erase(input);
  }

  const std::map<int, std::size_t>& current_;
  std::size_t slots_;
  std::vector<Table> tables_;
  std::map<int, std::size_t> table_of_;
  std::map<int, Routes> routes_;
};

void join(std::map<int, std::uint8_t>& outputs, const std::map<int, std::uint8_t>& others) {
  for (const auto& [ifindex, threshold] : others) {
    const auto [at, added] = outputs.emplace(ifindex, threshold);
    if (!added) at->second = std::min(at->second, threshold);
  }
}

// Routes of one input.
void join_routes(const Routes& routes, Routes& joined) {
  std::map<RouteKey, MulticastRoute> by_key;
  for (const MulticastRoute& route : routes) {
    const auto [at, added] = by_key.emplace(key_of(route), route);
    if (!added) join(at->second.outputs, route.outputs);
  }
  for (auto& [key, route] : by_key) {
    if (!route.source.none()) {
      for (const IpAddress& group : {route.group, IpAddress()}) {
        const auto wider = by_key.find({{}, group, route.input});
        if (wider != by_key.end()) join(route.outputs, wider->second.outputs);
      }
    }
    joined.push_back(route);
  }
}

}  // namespace

bool disturb_each_other(const MulticastRoute& left, const MulticastRoute& right) {
  const bool any_group = left.group.none() || right.group.none();
  if (!any_group && left.group != right.group) return false;
  if (!left.source.none() || !right.source.none()) {
    const bool both_match =
        left.source == right.source || left.source.none() || right.source.none();
    return both_match && left.input != right.input;
  }
  if (!any_group)
    return left.input != right.input && (names(left, right.input) || names(right, left.input));
  if (left.group.none() && right.group.none()) {
    const bool same =
        left.input == right.input && std::ranges::equal(left.outputs, right.outputs, {},
                                                        &std::pair<const int, std::uint8_t>::first,
                                                        &std::pair<const int, std::uint8_t>::first);
    return !same && share_an_interface(left, right);
  }
  return names(left, right.input) || names(right, left.input);
}

Placement place(const std::vector<RelayRoutes>& relays, const std::map<int, std::size_t>& current,
                std::size_t tables, std::size_t slots) {
  Placer placer(current, tables, slots);
  Placement placement;
  for (const RelayRoutes& relay : relays) {
    if (const auto refused = placer.add(relay)) placement.refused[relay.relay] = *refused;
  }
  placement.tables = placer.table_of();
  for (const auto& [input, routes] : placer.routes()) join_routes(routes, placement.routes);
  return placement;
}

}  // namespace mcfleet::mroute
