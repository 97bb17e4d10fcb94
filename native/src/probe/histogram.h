#pragma once

#include <array>
#include <atomic>
#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <optional>

namespace mcfleet::probe {

// Counts values in log-linear buckets: 64 per power of two, so that a quantile is at most 1/64 (1.6
// %) above the true value. One thread writes; any may read at the same time and sees a count that
// is at most a moment old.
class Histogram final {
 public:
  void add(std::uint64_t value) {
    bump(buckets_[bucket_of(value)]);
    bump(count_);
    if (value > max_.load(std::memory_order_relaxed)) max_.store(value, std::memory_order_relaxed);
  }

  [[nodiscard]] std::uint64_t max() const { return max_.load(std::memory_order_relaxed); }

  // The smallest bucket bound that at least `share` (0 to 1) of the values do not exceed; none if
  // there are no values.
  [[nodiscard]] std::optional<std::uint64_t> quantile(double share) const {
    const std::uint64_t count = count_.load(std::memory_order_relaxed);
    if (count == 0) return std::nullopt;
    const double exact = std::ceil(share * static_cast<double>(count));
    const std::uint64_t wanted = exact < 1 ? 1 : static_cast<std::uint64_t>(exact);
    std::uint64_t seen = 0;
    for (std::size_t i = 0; i < kBuckets; ++i) {
      seen += buckets_[i].load(std::memory_order_relaxed);
      const bool bounded = i + 1 < kBuckets && upper_bound(i) < max();
      if (seen >= wanted) return bounded ? upper_bound(i) : max();
    }
    return max();
  }

  [[nodiscard]] static constexpr std::size_t bucket_of(std::uint64_t value) {
    if (value < kPerPower) return static_cast<std::size_t>(value);
    const std::size_t shift = static_cast<std::size_t>(std::bit_width(value)) - kPowerBits - 1;
    const std::size_t bucket = shift * kPerPower + static_cast<std::size_t>(value >> shift);
    return bucket < kBuckets ? bucket : kBuckets - 1;
  }

  // The largest value of a bucket.
  [[nodiscard]] static constexpr std::uint64_t upper_bound(std::size_t bucket) {
    if (bucket < 2 * kPerPower) return bucket;
    const std::size_t shift = bucket / kPerPower - 1;
    const std::uint64_t mantissa = bucket % kPerPower + kPerPower;
    return ((mantissa + 1) << shift) - 1;
  }

 private:
  static constexpr std::size_t kPowerBits = 6;
  static constexpr std::size_t kPerPower = std::size_t{1} << kPowerBits;
  // Up to 2^40 ns, 18 minutes; what is larger goes to the last bucket.
  static constexpr std::size_t kBuckets = (40 - kPowerBits + 1) * kPerPower;

  static void bump(std::atomic<std::uint64_t>& counter) {
    counter.store(counter.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

  std::array<std::atomic<std::uint64_t>, kBuckets> buckets_{};
  std::atomic<std::uint64_t> count_{0};
  std::atomic<std::uint64_t> max_{0};
};

}  // namespace mcfleet::probe
