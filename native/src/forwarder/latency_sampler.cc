#include "forwarder/latency_sampler.h"

#include <time.h>

namespace mcfleet {

void LatencySampler::record() {
  if (size_ == 0) return;
  // The clock of the ring's time stamps (tpacket_rcv).
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  record(static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec));
}

void LatencySampler::record(uint64_t now_ns) {
  for (size_t i = 0; i < size_; i++) {
    // Unless the clock was set back.
    if (now_ns >= samples_[i].arrival_ns) samples_[i].latency->add(now_ns - samples_[i].arrival_ns);
  }
  size_ = 0;
}

}  // namespace mcfleet
