#pragma once

#include <chrono>
#include <cstddef>
#include <vector>

#include "forwarder/ring_memory.h"
#include "forwarder/transmit.h"

namespace mcfleet {

// Of one packet path; native/forwarder.ts documents them.
struct ForwarderOptions {
  // Of each ring of an input; it has one for each worker.
  size_t ring_bytes = size_t{64} << 20;
  // What all rings together may have.
  size_t ring_memory = RingMemory::half_of_host();
  TransmitRequest transmit = TransmitRequest::kAuto;
  // How long a worker looks for packets before it sleeps.
  std::chrono::microseconds busy_poll{0};
  size_t workers = 1;
  // Where each worker runs; empty: anywhere.
  std::vector<unsigned> cpus;
  // Whether what relays take is kept from the host.
  bool exclusive_input = false;
};

}  // namespace mcfleet
