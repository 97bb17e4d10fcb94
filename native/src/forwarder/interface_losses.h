#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "forwarder/interface_statistics.h"

namespace mcfleet {

// Packets that one interface took and then lost: no send was told of them. Of all that leaves by
// it, whoever sent it, as the kernel counts: a super-frame that a queue drops is one.
struct InterfaceLoss {
  int ifindex = 0;
  // By the queue discipline.
  uint64_t queue = 0;
  // By the device, as its statistics call it.
  uint64_t device_dropped = 0;
  uint64_t device_errors = 0;
  // Since when they count, Unix time in nanoseconds.
  uint64_t counted_since = 0;

  bool operator==(const InterfaceLoss&) const = default;
};

// One interface at one time.
struct InterfaceReading {
  InterfaceStatistics statistics;
  // RefusalCounters of all workers, read later than the statistics: then they miss no refusal that
  // is in those.
  uint64_t refused_queued = 0;
  uint64_t refused_frames = 0;
  // Whether workers have yet to find out what became of packets in the queue (TrackedSender).
  bool unsettled = false;
};

// Sums up what interfaces lost, from one reading of the kernel's counters to the next, less what
// was refused, which is told as a drop of the output. By name: sums go on when an interface goes
// and comes again, when its counters begin again at zero, and when its queue is replaced; they
// never fall. Pure.
class InterfaceLosses final {
 public:
  // Interfaces out of use whose sums are kept. Those that were used last stay.
  static constexpr size_t kRemembered = 1024;
  // While workers have yet to find out what became of packets, what a queue lost waits so long to
  // be found to be theirs, and at most twice as long.
  static constexpr uint64_t kDoubtNs = 5'000'000'000;

  // Takes in a reading of all interfaces in use. Those that are new among them count from it on.
  void take(std::span<const InterfaceReading> readings, uint64_t unix_nano);
  // Of the interfaces of the last reading, by index.
  [[nodiscard]] std::vector<InterfaceLoss> losses() const;

 private:
  struct Sum {
    InterfaceLoss loss;
    InterfaceReading last;
    // Losses of the queue that may yet turn out to be told as drops of outputs: since
    // `doubt_since`, and before that.
    uint64_t doubted = 0;
    uint64_t doubted_long = 0;
    uint64_t doubt_since = 0;
    // Refusals that the last reading had and the kernel's counters had not yet.
    uint64_t ahead = 0;
    // Number of the reading that it was last in.
    uint64_t seen = 0;
  };

  static void add(Sum& sum, const InterfaceReading& now, uint64_t unix_nano);
  static uint64_t release(Sum& sum, bool unsettled, uint64_t unix_nano);
  void forget();

  std::map<std::string, Sum> sums_;
  uint64_t readings_ = 0;
};

}  // namespace mcfleet
