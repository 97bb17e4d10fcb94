#pragma once

#include <cstddef>
#include <string>
#include <utility>

#include "base/result.h"

namespace mcfleet {

// What all receive rings of a packet path together may have. Their pages are taken when they are
// opened, never swap, and are charged to no container. One thread.
class RingMemory final {
 public:
  // So much that the host can go on with the rest.
  static size_t half_of_host();

  explicit RingMemory(size_t most) : most_(most) {}
  RingMemory(const RingMemory&) = delete;
  RingMemory& operator=(const RingMemory&) = delete;

  // A part of it, until it is destroyed. Must not outlive the whole.
  class Share final {
   public:
    Share() = default;
    Share(Share&& other) noexcept { *this = std::move(other); }
    Share& operator=(Share&& other) noexcept {
      std::swap(memory_, other.memory_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Share() {
      if (memory_ != nullptr) memory_->taken_ -= bytes_;
    }

   private:
    friend class RingMemory;
    Share(RingMemory& memory, size_t bytes) : memory_(&memory), bytes_(bytes) {}
    RingMemory* memory_ = nullptr;
    size_t bytes_ = 0;
  };

  // For so many rings. ENOMEM: it would be too much; `what`, for the error: "receive on ...".
  Result<Share> take(size_t rings, size_t bytes, const std::string& what);
  // Whether the rings of one input, one for each worker, can be had at all. EINVAL: they cannot.
  [[nodiscard]] Status holds_input(size_t workers, size_t bytes) const;

 private:
  const size_t most_;
  size_t taken_ = 0;
};

}  // namespace mcfleet
