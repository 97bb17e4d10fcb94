#pragma once

#include <atomic>
#include <cstdint>

#include "base/counters.h"
#include "forwarder/duplicate_window.h"
#include "forwarder/rule_table.h"
#include "packet/reassembler.h"
#include "ring/rx_ring.h"

namespace mcfleet {

// One input interface as a worker reads it. The control thread swaps the table and keeps what is
// swapped out until the worker has passed a quiescent point.
struct Input {
  Input(RxRing receive_ring, size_t header, InputCounters& input_counters)
      : ring(std::move(receive_ring)),
        link_header(header),
        counters(input_counters),
        reassembler(header) {}

  RxRing ring;
  const size_t link_header;
  InputCounters& counters;
  // Both of the worker.
  Reassembler reassembler;
  DuplicateWindow duplicates;
  std::atomic<const RuleTable*> table{nullptr};
  std::atomic<uint32_t> mtu{0};
};

}  // namespace mcfleet
