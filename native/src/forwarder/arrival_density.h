#pragma once

#include <cstddef>
#include <cstdint>

namespace mcfleet {

// Tells whether frames come so densely that a worker had better nap before it looks again, rather
// than be woken by the next one. A wake-up costs the one who sends that frame some 13 us
// (docs/measurements.md), and what comes meanwhile leaves in longer trains. The price: whatever
// comes during a nap waits for its end, also a packet that follows a single dense burst of a slow
// stream. Where fewer frames come together, or further apart, there is no nap.
class ArrivalDensity final {
 public:
  // Frames that are enough to tell, and the nanoseconds from one to the next, on the average, that
  // are dense.
  static constexpr size_t kFrames = 8;
  static constexpr uint64_t kGapNs = 5000;

  // `time_ns`: when the frame arrived, not when it was looked at: what piled up while others had
  // the processor need not be dense.
  void add(uint64_t time_ns) {
    if (frames_++ == 0) first_ns_ = time_ns;
    last_ns_ = time_ns;
  }
  // Of what came since clear(). Not when the clock was set back.
  [[nodiscard]] bool dense() const {
    return frames_ >= kFrames && last_ns_ - first_ns_ < frames_ * kGapNs;
  }
  void clear() { frames_ = 0; }

 private:
  size_t frames_ = 0;
  uint64_t first_ns_ = 0;
  uint64_t last_ns_ = 0;
};

}  // namespace mcfleet
