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
      for (const int other : done) take_back(other, by_input[other], true);
      return refused;
    }
    return std::nullopt;
  }

  void write_to(Placement& placement) const {
    for (const auto& [input, source] : sources_) {
      placement.tables[input] = *source.table;
      join_routes(source.routes, placement.routes);
    }
  }

 private:
  std::optional<Refusal> add(int input, const Routes& added) {
    Source& source = sources_.try_emplace(input, slots_).first->second;
    if (const auto refused = add_alone(source, added)) {
      if (source.routes.empty()) sources_.erase(input);
      return refused;
    }
    if (!find_table(input, source, added)) {
      take_back(input, added);
      return Refusal::tables_exhausted;
    }
    return std::nullopt;
  }

  struct Source final {
    explicit Source(std::size_t slots) : alone(slots) {}
    Routes routes;
    // As if it had a table of its own.
    Table alone;
    std::optional<std::size_t> table;
  };

  // Whether the routes of one input can be in one table.
  static std::optional<Refusal> add_alone(Source& source, const Routes& added) {
    for (std::size_t done = 0; done < added.size(); done++) {
      const bool conflict = source.alone.conflicts(added[done]);
      if (!conflict && source.alone.fits({added[done]})) {
        source.alone.add({added[done]});
        continue;
      }
      source.alone.remove(Routes(added.begin(), added.begin() + static_cast<long>(done)));
      return conflict ? Refusal::routes_conflict : Refusal::slots_exhausted;
    }
    source.routes.insert(source.routes.end(), added.begin(), added.end());
    return std::nullopt;
  }
  // Where it is, where it was, or the first that has room.
  bool find_table(int input, Source& source, const Routes& added) {
    if (source.table && tables_[*source.table].fits(added)) {
      tables_[*source.table].add(added);
      return true;
    }
    const auto before = current_.find(input);
    if (before != current_.end() && move(source, before->second, added)) return true;
    for (std::size_t table = 0; table < tables_.size(); table++) {
      if (move(source, table, added)) return true;
    }
    return false;
  }
  bool move(Source& source, std::size_t table, const Routes& added) {
    if (table >= tables_.size() || table == source.table || !tables_[table].fits(source.routes))
      return false;
    const Routes old(source.routes.begin(), source.routes.end() - static_cast<long>(added.size()));
    if (source.table) tables_[*source.table].remove(old);
    tables_[table].add(source.routes);
    source.table = table;
    return true;
  }
  // What was added last to the input. From its table too, if it found one.
  void take_back(int input, const Routes& added, bool placed = false) {
    Source& source = sources_.at(input);
    if (placed) tables_[*source.table].remove(added);
    source.alone.remove(added);
    source.routes.resize(source.routes.size() - added.size());
    if (source.routes.empty()) sources_.erase(input);
  }

  const std::map<int, std::size_t>& current_;
  std::size_t slots_;
  std::vector<Table> tables_;
  std::map<int, Source> sources_;
};

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
  placer.write_to(placement);
  return placement;
}

}  // namespace mcfleet::mroute
