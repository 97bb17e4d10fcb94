#include "addon/bindings.h"

namespace {

Napi::Object init(Napi::Env env, Napi::Object exports) {
  mcfleet::init_forwarder(env, exports);
  mcfleet::init_interfaces(env, exports);
  mcfleet::init_mroute(env, exports);
  mcfleet::init_probe(env, exports);
  return exports;
}

}  // namespace

NODE_API_MODULE(mcfleet, init)
