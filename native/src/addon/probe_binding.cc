#include "addon/bindings.h"

namespace mcfleet {

void init_probe(Napi::Env, Napi::Object) {}

}  // namespace mcfleet
