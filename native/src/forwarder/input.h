#pragma once

#include <sys/eventfd.h>

#include <atomic>
#include <cstdint>
#include <memory>

#include "base/counters.h"
#include "forwarder/loop_watch.h"
#include "forwarder/rule_table.h"
#include "packet/reassembler.h"
#include "ring/rx_ring.h"

namespace mcfleet {

// One input interface as one worker reads it. The control thread swaps the table and keeps what is
// swapped out until the worker has passed a quiescent point.
class Input final {
 public:
  // Super-frames from this size on have a ring of their own as soon as one was seen: the copy to us
  // then happens where they arrive, and costs no call per frame. Shorter ones, and the frames of
  // jumbo links, would waste most of a slot there; they are taken from the socket's queue.
  static constexpr size_t kLongIpPacket = size_t{12} << 10;

  // `attention`: an event descriptor that wakes the control thread.
  Input(RxRing receive_ring, size_t header, InputCounters& input_counters, int attention)
      : ring(std::move(receive_ring)),
        link_header(header),
        counters(input_counters),
        reassembler(header),
        attention_(attention) {}

  // Takes the frame that arrived first, and tells in which ring it lies. Worker.
  RxRing* take(RxFrame& frame) {
    RxRing* longs = long_ring_.load(std::memory_order_acquire);
    if (longs == nullptr) return ring.take(frame) ? &ring : nullptr;
    // Where one ring seems to be empty, the other one may have been read before something came
    // here: what is taken must have been seen before the other ring was last looked at.
    uint64_t long_time = longs->next_time_ns();
    const uint64_t time = ring.next_time_ns();
    if (long_time == 0 && time != 0) long_time = longs->next_time_ns();
    if (long_time != 0 && (time == 0 || long_time < time)) {
      return longs->take(frame) ? longs : nullptr;
    }
    return time != 0 && ring.take(frame) ? &ring : nullptr;
  }
  // Gives back all that was taken. Worker.
  void release() {
    ring.release();
    RxRing* longs = long_ring_.load(std::memory_order_relaxed);
    if (longs != nullptr) longs->release();
  }
  // Asks the control thread once for a ring for long frames. Worker.
  void ask_for_long_ring() {
    if (asked_.load(std::memory_order_relaxed)) return;
    asked_.store(true, std::memory_order_release);
    eventfd_write(attention_, 1);
  }

  // Whether the worker asked for it. Control thread.
  [[nodiscard]] bool asked_for_long_ring() const { return asked_.load(std::memory_order_acquire); }
  // Lets the worker read a second ring, for as long as this lives. Control thread.
  void use_long_ring(RxRing longs) {
    owned_long_ring_ = std::make_unique<RxRing>(std::move(longs));
    long_ring_.store(owned_long_ring_.get(), std::memory_order_release);
  }
  // Null if there is none. Control thread.
  [[nodiscard]] RxRing* long_ring() const { return owned_long_ring_.get(); }

  RxRing ring;
  const size_t link_header;
  InputCounters& counters;
  // Both of the worker.
  Reassembler reassembler;
  LoopWatch loops;
  std::atomic<const RuleTable*> table{nullptr};
  std::atomic<uint32_t> mtu{0};

 private:
  const int attention_;
  std::atomic<bool> asked_{false};
  std::atomic<RxRing*> long_ring_{nullptr};
  std::unique_ptr<RxRing> owned_long_ring_;
};

}  // namespace mcfleet
