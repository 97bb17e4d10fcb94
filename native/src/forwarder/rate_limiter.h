#pragma once

#include <atomic>
#include <cstdint>

namespace mcfleet {

// How much one relay may take.
struct RateLimit {
  // 0: any number.
  uint64_t packets_per_second = 0;
  // Of IP packets. 0: any number.
  uint64_t bits_per_second = 0;
  // How many packets may come at once, after a pause. 0: what the rate gives in 100 ms, one at
  // least. For bits, one packet counts as 1500 bytes.
  uint64_t burst_packets = 0;

  [[nodiscard]] bool limits() const { return packets_per_second != 0 || bits_per_second != 0; }
  bool operator==(const RateLimit&) const = default;
};

// A token bucket, kept as one time: the one at which it will be full again (the virtual scheduling
// form of ITU-T I.371, GCRA). Any thread may take from it.
class TokenBucket final {
 public:
  // `rate` in units per second, 0 for no limit; `depth` in units; `most` is what take() takes.
  TokenBucket(uint64_t rate, uint64_t depth, uint64_t most);

  // Whether at least one unit is there at `now_ns`.
  [[nodiscard]] bool has_token(int64_t now_ns) const {
    return rate_ == 0 || debt(now_ns) <= depth_ns_;
  }
  // Takes `units`, also more than are there: what comes next waits longer for that.
  void take(uint64_t units, int64_t now_ns);

 private:
  // How far in the future the bucket is full. A clock that was set back must not close it: what no
  // sequence of packets can have caused counts as nothing.
  [[nodiscard]] int64_t debt(int64_t now_ns) const {
    const int64_t ahead = full_at_.load(std::memory_order_relaxed) - now_ns;
    return ahead > 0 && ahead <= most_ns_ ? ahead : 0;
  }

  const uint64_t rate_;
  // With more debt than this no unit is there.
  int64_t depth_ns_ = 0;
  // More debt than this cannot be.
  int64_t most_ns_ = 0;
  std::atomic<int64_t> full_at_{0};
};

// Both limits of one relay. What arrives as one (a super-frame) passes as one, if a single packet
// would have: the rate holds, and the burst is exceeded by one super-frame at most.
class RateLimiter final {
 public:
  explicit RateLimiter(const RateLimit& limit);
  RateLimiter(const RateLimiter&) = delete;
  RateLimiter& operator=(const RateLimiter&) = delete;

  // Whether `packets` with `bytes` in all, arriving at this Unix time, are within the limits; takes
  // them if so.
  bool admit(uint64_t packets, uint64_t bytes, uint64_t time_ns);

 private:
  TokenBucket packets_;
  TokenBucket bits_;
};

}  // namespace mcfleet
