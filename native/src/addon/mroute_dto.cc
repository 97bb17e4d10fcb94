#include "addon/mroute_dto.h"

#include <arpa/inet.h>
#include <uv.h>

#include <algorithm>
#include <map>
#include <string>

#include "addon/errors.h"
#include "mroute/route_text.h"

namespace mcfleet {
namespace {

using mroute::Family;

IpAddress read_address(const Napi::Value& value) {
  if (value.IsNull()) return {};
  const std::string written = value.As<Napi::String>();
  in_addr ipv4{};
  if (::inet_pton(AF_INET, written.c_str(), &ipv4) == 1) return IpAddress(ntohl(ipv4.s_addr));
  in6_addr ipv6{};
  if (::inet_pton(AF_INET6, written.c_str(), &ipv6) == 1) return IpAddress::ipv6(ipv6.s6_addr);
  throw to_js_error(value.Env(), {EINVAL, "read the address " + written});
}

RouteChange::Action read_action(const std::string& word) {
  if (word == "remove") return RouteChange::Action::remove;
  if (word == "join") return RouteChange::Action::join;
  if (word == "leave") return RouteChange::Action::leave;
  return RouteChange::Action::set;
}

mroute::MulticastRoute read_route(const Napi::Object& object) {
  mroute::MulticastRoute route;
  route.source = read_address(object.Get("source"));
  route.group = read_address(object.Get("group"));
  route.input = object.Get("input").As<Napi::Number>().Int32Value();
  const auto outputs = object.Get("outputs").As<Napi::Array>();
  for (std::uint32_t i = 0; i < outputs.Length(); i++) {
    const auto output = outputs.Get(i).As<Napi::Object>();
    const std::uint32_t threshold = output.Get("threshold").As<Napi::Number>().Uint32Value();
    // What does not fit is refused as 255 is.
    route.outputs[output.Get("ifindex").As<Napi::Number>().Int32Value()] =
        static_cast<std::uint8_t>(std::min(threshold, std::uint32_t{255}));
  }
  return route;
}

void put_addresses(Napi::Object& object, Family family, const IpAddress& source,
                   const IpAddress& group) {
  const Napi::Env env = object.Env();
  const auto text = [&](const IpAddress& address) -> Napi::Value {
    if (address.none()) return env.Null();
    return Napi::String::New(env, mroute::address_text(family, address));
  };
  object.Set("source", text(source));
  object.Set("group", text(group));
}

}  // namespace

std::vector<RouteChange> read_route_changes(const Napi::Array& array) {
  std::vector<RouteChange> changes;
  changes.reserve(array.Length());
  for (std::uint32_t i = 0; i < array.Length(); i++) {
    // There may be thousands: do not keep a handle for each of their values.
    const Napi::HandleScope scope(array.Env());
    const auto object = array.Get(i).As<Napi::Object>();
    changes.push_back({read_action(object.Get("action").As<Napi::String>()),
                       read_route(object.Get("route").As<Napi::Object>())});
  }
  return changes;
}

Napi::Value write_outcomes(Napi::Env env, const std::vector<std::optional<Error>>& outcomes) {
  auto array = Napi::Array::New(env, outcomes.size());
  for (std::uint32_t i = 0; i < outcomes.size(); i++) {
    if (!outcomes[i]) {
      array.Set(i, env.Null());
      continue;
    }
    auto failure = Napi::Object::New(env);
    failure.Set("errno", ::uv_err_name(-outcomes[i]->code));
    failure.Set("message", outcomes[i]->message());
    array.Set(i, failure);
  }
  return array;
}

Napi::Object write_kernel_route(Napi::Env env, Family family, const mroute::KernelRoute& route) {
  auto object = Napi::Object::New(env);
  put_addresses(object, family, route.source, route.group);
  object.Set("input", route.input);
  auto outputs = Napi::Array::New(env, route.outputs.size());
  std::uint32_t count = 0;
  for (const auto& [ifindex, threshold] : route.outputs) {
    auto output = Napi::Object::New(env);
    output.Set("ifindex", ifindex);
    output.Set("threshold", static_cast<std::uint32_t>(threshold));
    outputs.Set(count++, output);
  }
  object.Set("outputs", outputs);
  object.Set("packets", Napi::BigInt::New(env, route.packets));
  object.Set("bytes", Napi::BigInt::New(env, route.bytes));
  object.Set("wrongInterface", Napi::BigInt::New(env, route.wrong_interface));
  object.Set("idleMs", static_cast<double>(route.idle_ms));
  return object;
}

Napi::Object write_route_key(Napi::Env env, Family family, const mroute::MulticastRoute& route) {
  auto object = Napi::Object::New(env);
  put_addresses(object, family, route.source, route.group);
  object.Set("input", route.input);
  return object;
}

}  // namespace mcfleet
