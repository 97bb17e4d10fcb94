#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>

#include "base/drop_reason.h"

namespace mcfleet {

inline constexpr size_t kCacheLine = 64;

// Written by one thread, read by any: a plain addition, no locked instruction.
class Counter final {
 public:
  void add(uint64_t n) {
    value_.store(value_.load(std::memory_order_relaxed) + n, std::memory_order_relaxed);
  }
  void set(uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  [[nodiscard]] uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<uint64_t> value_{0};
};

class DropCounters final {
 public:
  void add(DropReason reason, uint64_t n) { counters_[static_cast<size_t>(reason)].add(n); }
  [[nodiscard]] uint64_t get(DropReason reason) const {
    return counters_[static_cast<size_t>(reason)].get();
  }
  // Of all reasons.
  [[nodiscard]] uint64_t total() const {
    uint64_t total = 0;
    for (const Counter& counter : counters_) total += counter.get();
    return total;
  }

 private:
  std::array<Counter, kDropReasonCount> counters_;
};

// How long packets took, by powers of two of a microsecond.
class LatencyCounters final {
 public:
  // Bucket 0 is below 1 us, bucket i below 2^i us, and the last one takes the rest, from 4.2 s on.
  static constexpr size_t kBuckets = 24;

  void add(uint64_t nanoseconds) {
    const auto bucket = static_cast<size_t>(std::bit_width(nanoseconds / 1000));
    buckets_[std::min(bucket, kBuckets - 1)].add(1);
    sum_ns_.add(nanoseconds);
  }
  [[nodiscard]] uint64_t bucket(size_t index) const { return buckets_[index].get(); }
  [[nodiscard]] uint64_t sum_ns() const { return sum_ns_.get(); }
  // Of all buckets: how many there were.
  [[nodiscard]] uint64_t samples() const {
    uint64_t samples = 0;
    for (const Counter& bucket : buckets_) samples += bucket.get();
    return samples;
  }

 private:
  std::array<Counter, kBuckets> buckets_;
  Counter sum_ns_;
};

// In all of these a super-frame counts as the datagrams it stands for, and bytes are those of IP
// packets, headers included. A datagram that was reassembled or is fragmented counts once, with the
// bytes of the whole packet.

struct alignas(kCacheLine) InputCounters {
  // Taken from the ring.
  Counter packets;
  // Passed by the kernel's filter and wanted by no relay.
  Counter unmatched;
  DropCounters drops;
};

struct alignas(kCacheLine) RelayCounters {
  Counter packets;
  Counter bytes;
  // Unix time, 0 before the first.
  Counter last_packet_ns;
  // Of a sample, from its arrival until the copies were handed to the kernel.
  LatencyCounters latency;
  DropCounters drops;
};

struct alignas(kCacheLine) OutputCounters {
  // Handed to the kernel without an error, and what it kept for a neighbour when that has left.
  Counter packets;
  Counter bytes;
  DropCounters drops;
};

// How often an interface refused what was sent (ENOBUFS), or was found to have thrown it away: the
// kernel's own counters of what is lost there hold that too. What was sent again later is among it.
struct alignas(kCacheLine) RefusalCounters {
  // As a queue counts: a super-frame is one, and each fragment.
  Counter queued;
  // As a device without a queue counts: each segment of a super-frame, and each fragment.
  Counter frames;

  // A message that is cut into so many.
  void count(uint64_t cut) {
    queued.add(1);
    frames.add(cut);
  }
};

}  // namespace mcfleet
