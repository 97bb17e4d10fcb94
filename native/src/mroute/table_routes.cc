#include "mroute/table_routes.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "mroute/kernel_state.h"
#include "mroute/multicast_interface.h"
#include "mroute/route_text.h"

namespace mcfleet::mroute {

namespace {

// The kernel keeps both apart.
bool different_entries(const CacheEntry& left, const CacheEntry& right) {
  return left.source.none() && left.input != right.input;
}

MulticastRoute without_new_outputs(const MulticastRoute& old, const MulticastRoute& wanted) {
  MulticastRoute common = old;
  std::erase_if(common.outputs,
                [&](const auto& output) { return !wanted.outputs.contains(output.first); });
  return common;
}

}  // namespace

Status TableRoutes::set(const MulticastRoute& route) {
  if (Status valid = validate(table_->family(), route); !valid.ok()) return valid;
  if (Status free = has_own_entry(route); !free.ok()) return free;
  Status written = write(route);
  const auto found = routes_.find(key_of(route));
  if (written.ok() || written.error().code != ENOSPC || found == routes_.end()) return written;
  // Old and new outputs together do not fit: first let go of those that are not wanted any more.
  // An entry for any group has one only, and cannot be without.
  // One that is cut off could not be restored.
  const MulticastRoute old = found->second.route;
  const MulticastRoute common = without_new_outputs(old, route);
  if (common == old || route.group.none() || cut_off(found->second)) return written;
  if (Status shrunk = write(common); !shrunk.ok()) return shrunk;
  written = write(route);
  if (written.ok()) return written;
  const Status restored = write(old);
  return restored.ok() ? written : restored;
}

Status TableRoutes::write(const MulticastRoute& route) {
  Written next{route, {}, {}, {}};
  if (Status taken = take_all(route, next.slots); !taken.ok()) {
    release(next);
    return taken;
  }
  next.entry = to_entry(route, [&](int ifindex) { return next.slots.at(ifindex); });
  const auto old = routes_.find(key_of(route));
  const bool same = old != routes_.end() && old->second.entry == next.entry;
  if (Status written = same ? Status() : table_->set(next.entry); !written.ok()) {
    release(next);
    return written;
  }
  if (old == routes_.end()) {
    routes_.emplace(key_of(route), std::move(next));
    return {};
  }
  const Written previous = std::exchange(old->second, std::move(next));
  if (different_entries(previous.entry, old->second.entry)) {
    if (Status deleted = delete_entry(previous.entry); !deleted.ok()) {
      // It may still be there: its slots are kept as long as the route.
      for (const auto& [ifindex, slot] : previous.slots) old->second.doubtful.push_back(slot);
      std::ranges::copy(previous.doubtful, std::back_inserter(old->second.doubtful));
      return deleted;
    }
  }
  release(previous);
  return {};
}

Status TableRoutes::remove(const RouteKey& key) {
  const auto found = routes_.find(key);
  if (found == routes_.end()) return {};
  if (Status deleted = delete_entry(found->second.entry); !deleted.ok()) return deleted;
  const Written written = std::move(found->second);
  routes_.erase(found);
  release(written);
  return {};
}

Result<std::vector<MulticastRoute>> TableRoutes::refresh() {
  for (std::size_t place = 0; place < slots_.count(); place++) {
    const auto slot = static_cast<Slot>(place);
    if (slots_.interface_of(slot) == 0) continue;
    const auto counters = table_->counters(slot);
    if (counters.ok()) continue;
    if (counters.error().code != EADDRNOTAVAIL) return counters.error();
    slots_.lose(slot);
  }
  std::vector<MulticastRoute> found;
  for (const auto& [key, written] : routes_) {
    if (cut_off(written)) found.push_back(written.route);
  }
  return found;
}

bool TableRoutes::contains(const IpAddress& source, const IpAddress& group) const {
  const auto at = routes_.lower_bound({source, group, 0});
  return at != routes_.end() && at->first.source == source && at->first.group == group;
}

// The kernel knows routes for any group by their output, not by their input.
Status TableRoutes::has_own_entry(const MulticastRoute& route) const {
  if (!route.group.none()) return {};
  for (auto at = routes_.begin(); at != routes_.end() && at->first.group.none(); at++) {
    const MulticastRoute& other = at->second.route;
    if (other.input == route.input ||
        other.outputs.begin()->first != route.outputs.begin()->first) {
      continue;
    }
    return Error{EEXIST, "write route (*, *) from " + interface_text(route.input) + ": the " +
                             table_->text() + " has one from " + interface_text(other.input) +
                             " to the same output already; use another table"};
  }
  return {};
}

bool TableRoutes::cut_off(const Written& written) const {
  return std::ranges::any_of(
      written.slots, [&](const auto& place) { return slots_.interface_of(place.second) == 0; });
}

Status TableRoutes::take_all(const MulticastRoute& route, std::map<int, Slot>& taken) {
  const auto add = [&](int ifindex) -> Status {
    if (taken.contains(ifindex)) return {};
    const auto slot = take(ifindex);
    if (!slot.ok()) return slot.error();
    taken.emplace(ifindex, slot.value());
    return {};
  };
  Status added = add(route.input);
  for (auto output = route.outputs.begin(); added.ok() && output != route.outputs.end(); output++)
    added = add(output->first);
  return added;
}

Result<Slot> TableRoutes::take(int ifindex) {
  auto taken = slots_.take(ifindex);
  if (!taken && slots_.quarantined() > 0) {
    if (Status ended = end_quarantine(); !ended.ok()) return ended.error();
    taken = slots_.take(ifindex);
  }
  if (!taken) {
    return Error{ENOSPC, "add " + interface_text(ifindex) + " to the " + table_->text() +
                             ": routes name " + std::to_string(slots_.count()) +
                             " interfaces already, and it holds no more; use another table, or "
                             "the userspace engine"};
  }
  if (!taken->fresh) return taken->slot;
  if (Status added = table_->add_interface(taken->slot, ifindex); !added.ok()) {
    slots_.release(taken->slot);
    return added.error();
  }
  return taken->slot;
}

// The kernel does not show which empty slots an entry names. But ours name none in quarantine; so
// it is enough that there are no others.
Status TableRoutes::end_quarantine() {
  table_->calls().wait_for_readers();
  const auto found = dump_routes(table_->family());
  if (!found.ok()) return found.error();
  std::map<RouteKey, std::size_t> ours;
  for (const auto& [key, written] : routes_)
    ours[{key.source, key.group, 0}] += written.doubtful.empty() ? 1U : 2U;
  for (const KernelRoute& route : found.value()) {
    if (route.table != table_->id() || route.unresolved) continue;
    std::size_t& known = ours[{route.source, route.group, 0}];
    if (known == 0) {
      return Error{ENOSPC, "use the free slots of the " + table_->text() + " again: route " +
                               route_text(table_->family(), route.source, route.group) +
                               " is not ours, and may name them; delete it"};
    }
    known--;
  }
  slots_.end_quarantine();
  return {};
}

Status TableRoutes::delete_entry(const CacheEntry& entry) {
  Status deleted = table_->remove(entry);
  // Somebody else deleted it.
  if (!deleted.ok() && deleted.error().code == ENOENT) return {};
  return deleted;
}

void TableRoutes::release(Slot slot) {
  if (slots_.routes(slot) == 1 && slots_.interface_of(slot) != 0) {
    const Status removed = table_->remove_interface(slot);
    // An interface that was deleted is out already. One that stays in the table without a route
    // does no harm, and keeps its slot.
    if (!removed.ok() && removed.error().code != EADDRNOTAVAIL) return;
  }
  slots_.release(slot);
}

void TableRoutes::release(const Written& written) {
  for (const auto& [ifindex, slot] : written.slots) release(slot);
  for (const Slot slot : written.doubtful) release(slot);
}

}  // namespace mcfleet::mroute
