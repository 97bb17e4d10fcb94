#pragma once

#include <chrono>
#include <cstdint>

namespace mcfleet {

// Now, in nanoseconds.
inline uint64_t unix_nano() {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(now).count());
}

}  // namespace mcfleet
