#pragma once

#include <time.h>

#include <cstdint>

namespace mcfleet::probe {

inline std::uint64_t nanoseconds(const timespec& time) {
  return static_cast<std::uint64_t>(time.tv_sec) * 1'000'000'000 +
         static_cast<std::uint64_t>(time.tv_nsec);
}

inline std::uint64_t now(clockid_t clock) {
  timespec time{};
  ::clock_gettime(clock, &time);
  return nanoseconds(time);
}

inline std::uint64_t monotonic_now() {
  return now(CLOCK_MONOTONIC);
}
inline std::uint64_t realtime_now() {
  return now(CLOCK_REALTIME);
}

// Sleeps until this time of CLOCK_MONOTONIC; may return early when a signal comes.
inline void sleep_until(std::uint64_t monotonic_ns) {
  const timespec time{static_cast<time_t>(monotonic_ns / 1'000'000'000),
                      static_cast<long>(monotonic_ns % 1'000'000'000)};
  ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &time, nullptr);
}

}  // namespace mcfleet::probe
