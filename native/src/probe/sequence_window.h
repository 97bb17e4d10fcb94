#pragma once

#include <cstdint>
#include <vector>

namespace mcfleet::probe {

// Tells first copies from duplicates, exactly, within the newest 2^20 sequence numbers (7 seconds
// at 150,000 packets per second).
class SequenceWindow final {
 public:
  enum class Arrival {
    in_order,   // larger than all before
    reordered,  // the first copy, after a larger one
    duplicate,
    stale  // older than the window: may be either
  };

  static constexpr std::uint64_t kSize = std::uint64_t{1} << 20;

  [[nodiscard]] Arrival arrive(std::uint64_t sequence);

 private:
  [[nodiscard]] bool seen(std::uint64_t sequence) const {
    return (bits_[word(sequence)] & mask(sequence)) != 0;
  }
  static std::size_t word(std::uint64_t sequence) { return (sequence % kSize) / 64; }
  static std::uint64_t mask(std::uint64_t sequence) { return std::uint64_t{1} << (sequence % 64); }
  void forget(std::uint64_t first, std::uint64_t last);

  std::vector<std::uint64_t> bits_ = std::vector<std::uint64_t>(kSize / 64);
  std::uint64_t highest_ = 0;
  bool empty_ = true;
};

}  // namespace mcfleet::probe
