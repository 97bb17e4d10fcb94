#include "addon/bindings.h"

namespace mcfleet {

void init_interfaces(Napi::Env, Napi::Object) {}

}  // namespace mcfleet
