#pragma once

#include <napi.h>

#include <string>
#include <vector>

#include "forwarder/forwarder_options.h"
#include "forwarder/interface_losses.h"
#include "forwarder/relay_program.h"
#include "forwarder/snapshot.h"

namespace mcfleet {

// Between the objects of native/forwarder.ts, which has checked them, and the structures of the
// core. Same names, same order.
ForwarderOptions read_forwarder_options(const Napi::Object& object);
RelayChange read_relay_change(const Napi::Object& object);
std::vector<std::string> read_uids(const Napi::Value& value);
Napi::Value write_uids(Napi::Env env, const std::vector<std::string>& uids);
Napi::Value write_refusals(Napi::Env env, const std::vector<RelayRefusal>& refusals);
Napi::Value write_snapshot(Napi::Env env, const Snapshot& snapshot);
Napi::Value write_losses(Napi::Env env, const std::vector<InterfaceLoss>& losses);
Napi::Value write_status(Napi::Env env, const ForwarderStatus& status);

}  // namespace mcfleet
