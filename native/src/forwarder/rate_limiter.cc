#include "forwarder/rate_limiter.h"

#include <algorithm>

#include "packet/parse.h"

namespace mcfleet {
namespace {

constexpr uint64_t kSecond = 1'000'000'000;
// The largest thing that is taken at once: a super-frame in datagrams, and in bits with all their
// headers (IP with options, UDP).
constexpr uint64_t kMostPackets = kMaxSegments;
constexpr uint64_t kMostBits = 8 * (kMaxIpPacket + kMaxSegments * (kMaxIpv6Headers + kUdpHeader));
constexpr uint64_t kBitsPerBurstPacket = 8 * 1500;
// Three years: so that sums of times do not overflow.
constexpr double kMostTime = 1e17;

// To the nearest nanosecond: at ten million per second that is exact to half a percent.
int64_t time_for(uint64_t units, uint64_t rate) {
  const double time = static_cast<double>(units) * kSecond / static_cast<double>(rate);
  return static_cast<int64_t>(std::min(time, kMostTime) + 0.5);
}

uint64_t depth_of(uint64_t rate, uint64_t given) {
  return std::max<uint64_t>(given != 0 ? given : rate / 10, 1);
}

}  // namespace

TokenBucket::TokenBucket(uint64_t rate, uint64_t depth, uint64_t most) : rate_(rate) {
  if (rate == 0) return;
  // A full bucket gives `depth` units at once: the last one while all but one are gone.
  depth_ns_ = time_for(depth - 1, rate);
  most_ns_ = depth_ns_ + time_for(most, rate);
}

void TokenBucket::take(uint64_t units, int64_t now_ns) {
  if (rate_ == 0) return;
  const int64_t cost = time_for(units, rate_);
  int64_t before = full_at_.load(std::memory_order_relaxed);
  for (;;) {
    const int64_t ahead = before - now_ns;
    const int64_t start = ahead > 0 && ahead <= most_ns_ ? before : now_ns;
    if (full_at_.compare_exchange_weak(before, start + cost, std::memory_order_relaxed)) return;
  }
}

RateLimiter::RateLimiter(const RateLimit& limit)
    : packets_(limit.packets_per_second, depth_of(limit.packets_per_second, limit.burst_packets),
               kMostPackets),
      bits_(limit.bits_per_second,
            depth_of(limit.bits_per_second, limit.burst_packets * kBitsPerBurstPacket), kMostBits) {
}

bool RateLimiter::admit(uint64_t packets, uint64_t bytes, uint64_t time_ns) {
  const auto now = static_cast<int64_t>(time_ns);
  if (!packets_.has_token(now) || !bits_.has_token(now)) return false;
  packets_.take(packets, now);
  bits_.take(bytes * 8, now);
  return true;
}

}  // namespace mcfleet
