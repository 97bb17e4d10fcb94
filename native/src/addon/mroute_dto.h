#pragma once

#include <napi.h>

#include <cstdint>
#include <optional>
#include <vector>

#include "base/result.h"
#include "mroute/kernel_state.h"
#include "mroute/multicast_route.h"

namespace mcfleet {

// One step of MulticastTable.apply, as multicast-table.ts describes it.
struct RouteChange final {
  enum class Action : std::uint8_t { set, remove, join, leave };

  Action action = Action::set;
  mroute::MulticastRoute route;
};

// multicast-table.ts gives what the types say; addresses that are none throw.
std::vector<RouteChange> read_route_changes(const Napi::Array& array);

// One per change: null, or why it was refused.
Napi::Value write_outcomes(Napi::Env env, const std::vector<std::optional<Error>>& outcomes);

Napi::Object write_kernel_route(Napi::Env env, mroute::Family family,
                                const mroute::KernelRoute& route);
Napi::Object write_route_key(Napi::Env env, mroute::Family family,
                             const mroute::MulticastRoute& route);

}  // namespace mcfleet
