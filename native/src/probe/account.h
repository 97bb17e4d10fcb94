#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <utility>

#include "packet/ip_address.h"
#include "probe/digest.h"
#include "probe/histogram.h"
#include "probe/payload.h"
#include "probe/sequence_window.h"

namespace mcfleet::probe {

// A counter with one writer that others may read at any time.
class Counter final {
 public:
  void add(std::uint64_t amount = 1) { set(get() + amount); }
  void set(std::uint64_t value) { value_.store(value, std::memory_order_relaxed); }
  [[nodiscard]] std::uint64_t get() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<std::uint64_t> value_{0};
};

// One flow of one sender.
struct Flow final {
  std::uint64_t run = 0;
  std::uint32_t flow = 0;
  IpAddress source{};  // of its first packet
  std::uint16_t source_port = 0;
  std::uint8_t ttl = 0;  // of its first packet; 0 if not known
  std::uint64_t received = 0;
  std::uint64_t bytes = 0;
  std::uint64_t duplicates = 0;
  std::uint64_t reordered = 0;
  std::uint64_t stale = 0;
  std::uint64_t first_sequence = 0;
  std::uint64_t last_sequence = 0;
  SequenceWindow window;

  // Numbers between the first and the last that never came.
  [[nodiscard]] std::uint64_t lost() const { return last_sequence - first_sequence + 1 - received; }
};

// Where and when a payload came from.
struct Arrived final {
  std::uint64_t at = 0;  // CLOCK_REALTIME in nanoseconds
  IpAddress source{};
  std::uint16_t source_port = 0;
  std::uint8_t ttl = 0;
  bool checksums_right = true;
};

// Keeps the books of a receiver: every payload is counted under exactly one of received,
// duplicates, stale, corrupt, foreign or unaccounted.
class Account final {
 public:
  // Memory is bounded by this many flows, 128 KiB each.
  static constexpr std::size_t kMaxFlows = 1024;

  explicit Account(bool with_digest);

  // The payload of one datagram, or several back to back: a sender that uses segmentation offload
  // appears at an interface as one frame.
  void take(std::span<const std::uint8_t> payload, const Arrived& arrived);

  [[nodiscard]] const std::deque<Flow>& flows() const { return flows_; }
  // 64 hexadecimal digits; none if not asked for.
  [[nodiscard]] std::optional<std::string> digest() const;

  // Sums over all flows, for any thread.
  Counter received;  // first copies, intact
  Counter bytes;     // of their UDP payload
  Counter duplicates;
  Counter reordered;
  Counter stale;
  Counter gaps;  // lost so far, seen from the sequence numbers; may still arrive
  Counter corrupt;
  Counter foreign;      // not a probe's payload
  Counter unaccounted;  // of flows beyond kMaxFlows
  Histogram latency;    // nanoseconds, first copies

 private:
  void take_one(std::span<const std::uint8_t> payload, const PayloadHeader& header,
                const Arrived& arrived);
  [[nodiscard]] Flow* find(const PayloadHeader& header, const Arrived& arrived);

  bool with_digest_;
  PayloadDigest digest_;
  std::deque<Flow> flows_;                                          // never moves a flow
  std::map<std::pair<std::uint64_t, std::uint32_t>, Flow*> index_;  // by run and flow
  Flow* last_ = nullptr;
};

}  // namespace mcfleet::probe
