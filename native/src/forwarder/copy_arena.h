#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "ring/rx_ring.h"

namespace mcfleet {

// Room for the frames of one burst that lie in no slot of the ring. They stay where they are until
// clear().
class CopyArena final {
 public:
  // Several super-frames, so that they are sent by one call. 128 KiB to 1 MiB cost the same
  // (docs/measurements.md).
  static constexpr size_t kBytes = size_t{256} << 10;

  CopyArena() : arena_(std::make_unique_for_overwrite<uint8_t[]>(kBytes)) {}

  // RxRing::kCopyBytes; null if all is used.
  uint8_t* room() { return used_ + RxRing::kCopyBytes <= kBytes ? arena_.get() + used_ : nullptr; }
  // Keeps the first `bytes` of the last room().
  void keep(size_t bytes) { used_ += bytes; }
  void clear() { used_ = 0; }

 private:
  std::unique_ptr<uint8_t[]> arena_;
  size_t used_ = 0;
};

}  // namespace mcfleet
