#pragma once

#include <chrono>
#include <thread>

// Waits for what the kernel or another thread brings in its own time. False after 30 seconds: what
// has not come by then, even on a busy machine, never comes.
template <typename Condition>
bool eventually(Condition&& condition) {
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  return true;
}
