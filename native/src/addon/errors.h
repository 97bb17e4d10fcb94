#pragma once

#include <napi.h>
#include <uv.h>

#include "base/result.h"

namespace mcfleet {

// An Error whose `code` is the errno's name, such as "EPERM", as Node's own errors have it.
inline Napi::Error to_js_error(Napi::Env env, const Error& error) {
  auto result = Napi::Error::New(env, error.message());
  result.Set("code", Napi::String::New(env, ::uv_err_name(-error.code)));
  return result;
}

}  // namespace mcfleet
