#pragma once

#include <napi.h>

namespace mcfleet {

// Each puts its functions on `exports`. One file per part of the core; DTOs in, DTOs out, no logic.
void init_forwarder(Napi::Env env, Napi::Object exports);
void init_interfaces(Napi::Env env, Napi::Object exports);
void init_mroute(Napi::Env env, Napi::Object exports);
void init_probe(Napi::Env env, Napi::Object exports);

}  // namespace mcfleet
