#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "mroute/multicast_route.h"

// More interfaces than one table holds: relays are spread over tables. The kernel picks a table by
// the interface on which a packet arrives, so that all routes from one input are in one table.
namespace mcfleet::mroute {

struct RelayRoutes final {
  std::string relay;
  std::vector<MulticastRoute> routes;
};

// Why a relay is in no table.
enum class Refusal : std::uint8_t {
  // Routes from one of its inputs name more interfaces than a table has slots.
  slots_exhausted,
  // Routes from one of its inputs cannot be in one table, for any group beside for one.
  routes_conflict,
  // No table that may be used has room beside what is there.
  tables_exhausted,
};

struct Placement final {
  // The table of each input, by interface index; tables are counted from 0.
  std::map<int, std::size_t> tables;
  // No route of these relays is in the kernel.
  std::map<std::string, Refusal> refused;
  // The routes of all other relays as they are to be written. Where packets match several, the
  // kernel follows the narrowest alone: it has the outputs of all, each with the lowest threshold.
  std::vector<MulticastRoute> routes;
};

// Places relays, the first in the list first; the same list gives the same. `current`: inputs stay
// in the tables that they have, as long as they fit. `tables`: how many there may be. `slots`: of
// each.
[[nodiscard]] Placement place(const std::vector<RelayRoutes>& relays,
                              const std::map<int, std::size_t>& current, std::size_t tables,
                              std::size_t slots = kSlots);

// Whether the kernel would follow the wrong one of two routes in one table. An exact source goes
// before any, whatever the input. Those of any source for one group are found by all interfaces
// that they list, outputs too. One of any group lends its interfaces to others of any source.
[[nodiscard]] bool disturb_each_other(const MulticastRoute& left, const MulticastRoute& right);

}  // namespace mcfleet::mroute
