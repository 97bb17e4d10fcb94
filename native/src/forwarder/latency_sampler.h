#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/counters.h"

namespace mcfleet {

// Takes the latency of some packets, for to read the clock and to count for each of them would cost
// more than to forward it: of each relay its first packet and one in kEvery. What it is shown is
// counted when record() is called, after it was handed to the kernel. One worker.
class LatencySampler final {
 public:
  // Packets of a relay from one that is taken to the next.
  static constexpr uint64_t kEvery = 16;
  // Relays of one burst. With more, some are left out.
  static constexpr size_t kMost = 32;

  // Of packets that one relay passes on together, when it has counted them; at most one is taken.
  // `packets_before`: its count before them. `arrival_ns`: Unix time of the one that waited
  // longest.
  void show(RelayCounters& counters, uint64_t packets_before, uint64_t arrival_ns) {
    const uint64_t packets = counters.packets.get();
    if (packets_before != 0 && packets_before / kEvery == packets / kEvery) return;
    if (size_ == kMost) return;
    samples_[size_++] = {&counters.latency, arrival_ns};
  }
  // Counts what was taken, now and at a given time. Relays are not touched after it.
  void record();
  void record(uint64_t now_ns);

 private:
  struct Sample {
    LatencyCounters* latency;
    uint64_t arrival_ns;
  };
  std::array<Sample, kMost> samples_;
  size_t size_ = 0;
};

}  // namespace mcfleet
