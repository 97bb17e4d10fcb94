#pragma once

#include <cstddef>
#include <cstdint>

#include "base/counters.h"
#include "forwarder/arrival_density.h"
#include "forwarder/copy_arena.h"
#include "forwarder/emitter.h"
#include "forwarder/input.h"
#include "forwarder/latency_sampler.h"
#include "forwarder/train.h"
#include "packet/identification.h"

namespace mcfleet {

// What a worker does with the frames of its inputs, burst by burst: takes them from the rings, puts
// fragments together, recognises what goes round in a loop, makes trains, and gives each to the
// outputs of the relays that want it. Takes no lock and allocates nothing. It holds no pointer to
// an input or a rule from one burst to the next.
class Pipeline final {
 public:
  // While unsettled(), settle() shall be called at least this often.
  static constexpr int kSettleMs = 10;

  // `worker`: its number, from 0, of `workers`.
  Pipeline(size_t worker, size_t workers) : worker_(worker), emitter_(worker, workers) {}

  // Forwards one burst. Returns whether there was anything.
  bool drain(Input& input);
  // Whether packets wait for a neighbour.
  [[nodiscard]] bool unsettled() const { return emitter_.unsettled(); }
  // Looks what became of them, unless it did so a moment ago. Also while no packet comes: it must
  // show.
  void settle();

  // When frames arrived.
  [[nodiscard]] ArrivalDensity& arrivals() { return arrivals_; }
  // Packets that relays wanted. Any thread.
  [[nodiscard]] uint64_t matched() const { return matched_.get(); }

 private:
  void send_all(Input& input, const RuleTable& table);
  // Parses one frame; `ring` is where it lies.
  void take(Input& input, const RuleTable& table, const RxRing& ring, RxFrame& frame);
  void read(Input& input, const RuleTable& table, const RxFrame& frame);
  void take_fragment(Input& input, const RuleTable& table, const RxFrame& frame);
  void forward(Input& input, const RuleTable& table, Train& train);
  void forward_within(RateLimiter& limiter, const RuleMatch& rule, const Train& train, uint32_t mtu,
                      bool watched);
  void drop_truncated(Input& input, const RuleTable& table, const Datagram& datagram,
                      const RxFrame& frame);

  const size_t worker_;
  Counter matched_;
  Emitter emitter_;
  int64_t settled_ms_ = 0;
  ArrivalDensity arrivals_;
  Trains trains_;
  Identifications identifications_;
  LatencySampler latencies_;
  // What of one train passes.
  Train admitted_;
  CopyArena copies_;
};

}  // namespace mcfleet
