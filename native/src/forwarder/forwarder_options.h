#pragma once

#include <chrono>
#include <cstddef>

#include "forwarder/transmit.h"

namespace mcfleet {

// Of one packet path; native/forwarder.ts documents them.
struct ForwarderOptions {
  size_t ring_bytes = size_t{64} << 20;
  TransmitRequest transmit = TransmitRequest::kAuto;
  // How long the worker looks for packets before it sleeps.
  std::chrono::microseconds busy_poll{0};
};

}  // namespace mcfleet
