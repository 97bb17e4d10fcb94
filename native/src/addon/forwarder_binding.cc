#include "addon/bindings.h"

namespace mcfleet {

void init_forwarder(Napi::Env, Napi::Object) {}

}  // namespace mcfleet
