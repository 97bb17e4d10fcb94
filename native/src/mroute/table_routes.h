#pragma once

#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/result.h"
#include "mroute/multicast_route.h"
#include "mroute/multicast_table.h"
#include "mroute/slot_map.h"

namespace mcfleet::mroute {

// The routes of one table, by interfaces instead of slots. Each call does all or nothing, and
// disturbs no other route. One thread; the calls wait for the kernel's rtnl lock.
class TableRoutes final {
 public:
  // `slots`: how many of the table may be used.
  explicit TableRoutes(std::unique_ptr<MulticastTable> table, std::size_t slots = kSlots)
      : table_(std::move(table)), slots_(slots) {}

  // Adds the route, or replaces the one with the same key in place. Errors of validate() and of
  // MulticastTable; ENOSPC: the table has no slot for one of its interfaces;
  // EEXIST: a route for any group has the same output.
  [[nodiscard]] Status set(const MulticastRoute& route);
  // Succeeds if there is none.
  [[nodiscard]] Status remove(const RouteKey& key);
  // Looks which interfaces the kernel took out since they were deleted. Gives the routes that name
  // one: they do not reach it, even if it is back, until they are set again.
  [[nodiscard]] Result<std::vector<MulticastRoute>> refresh();

  // Whether there is a route for exactly these, from any input.
  [[nodiscard]] bool contains(const IpAddress& source, const IpAddress& group) const;
  // The interface in a slot; 0: none.
  [[nodiscard]] int interface_of(Slot slot) const {
    return slot < slots_.count() ? slots_.interface_of(slot) : 0;
  }
  [[nodiscard]] std::size_t size() const { return routes_.size(); }
  [[nodiscard]] const MulticastTable& table() const { return *table_; }

 private:
  struct Written final {
    MulticastRoute route;
    CacheEntry entry;
    // By interface index; each counted once in slots_.
    std::map<int, Slot> slots;
    // Of entries that were to be deleted, and may not be.
    std::vector<Slot> doubtful;
  };

  [[nodiscard]] Status write(const MulticastRoute& route);
  [[nodiscard]] Status has_own_entry(const MulticastRoute& route) const;
  // Whether it names an interface that the kernel took out.
  [[nodiscard]] bool cut_off(const Written& written) const;
  [[nodiscard]] Status take_all(const MulticastRoute& route, std::map<int, Slot>& taken);
  [[nodiscard]] Result<Slot> take(int ifindex);
  [[nodiscard]] Status end_quarantine();
  [[nodiscard]] Status delete_entry(const CacheEntry& entry);
  void release(Slot slot);
  void release(const Written& written);

  std::unique_ptr<MulticastTable> table_;
  SlotMap slots_;
  std::map<RouteKey, Written> routes_;
};

}  // namespace mcfleet::mroute
