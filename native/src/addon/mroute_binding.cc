#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "addon/bindings.h"
#include "addon/job.h"
#include "addon/mroute_dto.h"
#include "forwarder/memberships.h"
#include "mroute/kernel_state.h"
#include "mroute/table_routes.h"

namespace mcfleet {
namespace {

using mroute::Family;

// A table with its routes and what they joined. Its jobs run on threads of their own, one at a
// time.
struct OpenTable final {
  OpenTable(Family of, std::unique_ptr<mroute::MulticastTable> table)
      : family(of), routes(std::in_place, std::move(table)) {}

  const Family family;
  std::mutex mutex;
  // None after close().
  std::optional<mroute::TableRoutes> routes;
  Memberships memberships;
};
using SharedTable = std::shared_ptr<OpenTable>;

Error closed() {
  return {EBADF, "use a multicast routing table that is closed"};
}

// No job waits for anything but the kernel: at the end of the environment it is waited for.
Napi::Value start(Napi::Env env, const char* name, Job::Work work) {
  return Job::start(env, name, std::move(work), [] {});
}

Status carry_out(OpenTable& table, const RouteChange& change) {
  const mroute::MulticastRoute& route = change.route;
  const Membership membership{route.input, route.group, route.source};
  switch (change.action) {
    case RouteChange::Action::set:
      return table.routes->set(route);
    case RouteChange::Action::remove:
      return table.routes->remove(mroute::key_of(route));
    case RouteChange::Action::join:
      return table.memberships.join(membership);
    case RouteChange::Action::leave:
      table.memberships.leave(membership);
      return {};
  }
  return {};
}

Result<Job::Outcome> apply(OpenTable& table, const std::vector<RouteChange>& changes) {
  const std::lock_guard lock(table.mutex);
  if (!table.routes) return closed();
  std::vector<std::optional<Error>> outcomes;
  outcomes.reserve(changes.size());
  for (const RouteChange& change : changes) {
    const Status done = carry_out(table, change);
    outcomes.push_back(done.ok() ? std::nullopt : std::optional(done.error()));
  }
  return Job::Outcome(
      [outcomes = std::move(outcomes)](Napi::Env env) { return write_outcomes(env, outcomes); });
}

Result<Job::Outcome> read(OpenTable& table) {
  const std::lock_guard lock(table.mutex);
  if (!table.routes) return closed();
  table.routes->table().drain();
  auto cut_off = table.routes->refresh();
  if (!cut_off.ok()) return cut_off.error();
  auto found = mroute::dump_routes(table.family);
  if (!found.ok()) return found.error();
  const std::uint32_t id = table.routes->table().id();
  std::erase_if(found.value(), [id](const mroute::KernelRoute& route) {
    return route.table != id || route.unresolved;
  });
  return Job::Outcome([family = table.family, found = std::move(found.value()),
                       cut_off = std::move(cut_off.value())](Napi::Env env) -> Napi::Value {
    auto routes = Napi::Array::New(env, found.size());
    for (std::uint32_t i = 0; i < found.size(); i++) {
      const Napi::HandleScope scope(env);
      routes.Set(i, write_kernel_route(env, family, found[i]));
    }
    auto keys = Napi::Array::New(env, cut_off.size());
    for (std::uint32_t i = 0; i < cut_off.size(); i++)
      keys.Set(i, write_route_key(env, family, cut_off[i]));
    auto object = Napi::Object::New(env);
    object.Set("routes", routes);
    object.Set("cutOff", keys);
    return object;
  });
}

Result<Job::Outcome> close(OpenTable& table) {
  const std::lock_guard lock(table.mutex);
  table.routes.reset();
  table.memberships = Memberships();
  return Job::Outcome([](Napi::Env env) { return env.Undefined(); });
}

Napi::Value handle(Napi::Env env, const SharedTable& table) {
  auto object = Napi::Object::New(env);
  const auto put = [&](const char* name, auto call) {
    object.Set(name, Napi::Function::New(env, call, name));
  };
  put("apply", [table](const Napi::CallbackInfo& info) {
    auto changes = read_route_changes(info[0].As<Napi::Array>());
    return start(info.Env(), "mcfleet multicast routes",
                 [table, changes = std::move(changes)] { return apply(*table, changes); });
  });
  put("read", [table](const Napi::CallbackInfo& info) {
    return start(info.Env(), "mcfleet multicast table", [table] { return read(*table); });
  });
  put("close", [table](const Napi::CallbackInfo& info) {
    return start(info.Env(), "mcfleet multicast table end", [table] { return close(*table); });
  });
  return object;
}

Napi::Value open_multicast_table(const Napi::CallbackInfo& info) {
  const Family family = info[0].As<Napi::Number>().Uint32Value() == 6 ? Family::ipv6 : Family::ipv4;
  const std::uint32_t id = info[1].As<Napi::Number>().Uint32Value();
  return start(info.Env(), "mcfleet multicast table", [family, id]() -> Result<Job::Outcome> {
    auto opened = mroute::MulticastTable::open(family, id);
    if (!opened.ok()) return opened.error();
    auto table = std::make_shared<OpenTable>(family, std::move(opened.value()));
    return Job::Outcome([table = std::move(table)](Napi::Env env) { return handle(env, table); });
  });
}

}  // namespace

void init_mroute(Napi::Env env, Napi::Object exports) {
  exports.Set("openMulticastTable",
              Napi::Function::New(env, open_multicast_table, "openMulticastTable"));
}

}  // namespace mcfleet
