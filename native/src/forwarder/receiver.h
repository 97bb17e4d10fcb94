#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/counters.h"
#include "base/result.h"
#include "forwarder/egress_port.h"
#include "forwarder/input.h"
#include "forwarder/link_facts.h"
#include "forwarder/per_worker.h"
#include "forwarder/ring_memory.h"
#include "forwarder/workers.h"
#include "ring/filter.h"

namespace mcfleet {

// What a worker may still be using; free it after quiesce().
struct Retired {
  std::vector<std::unique_ptr<const RuleTable>> tables;
  std::vector<std::unique_ptr<Input>> inputs;
  RetiredSockets sockets;
};

// The control side of one input interface: its rings, one or two for each worker, kernel filter and
// rule table. Rings live as long as the interface and any relay of it; rules come and go without
// touching them. One control thread changes it; the const methods and kernel_drops() may be called
// by others.
class Receiver final {
 public:
  // A ring for long frames has the bytes of the other one divided by this.
  static constexpr size_t kLongShare = 2;

  // `ring_bytes` for each worker, out of `memory`. `attention`: an event descriptor; workers write
  // to it to have refresh() called.
  Receiver(int ifindex, size_t ring_bytes, RingMemory& memory, int attention, Workers& workers);
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  // Reads the link, and opens the rings if there are none and the interface is there; those for
  // long frames when a worker has seen one. An interface that is down is no error: the rings are
  // opened or wake up with it. ENODEV: no such interface; EAFNOSUPPORT: a kind that is not
  // supported; ENOMEM: no memory for the rings.
  Status refresh(Retired& retired);
  // Whether there are rings, and their interface is gone: there may be another one of that index.
  [[nodiscard]] bool lost() const;
  // Whether there are rings of the interface that was there at the last refresh().
  [[nodiscard]] bool receives() const { return !inputs_.empty(); }

  // Lets everything pass that the present rules or `next` want. Before use_rules().
  void widen_filter(const std::vector<Rule>& next);
  // Forwards by `rules` from the worker's next burst on.
  void use_rules(const std::vector<Rule>& rules, Retired& retired);
  // Lets only pass what the present rules want. After the worker passed a quiescent point.
  void narrow_filter();
  // Stops reading.
  void close(Retired& retired);

  [[nodiscard]] int ifindex() const { return ifindex_; }
  [[nodiscard]] LinkState state() const { return state_.load(std::memory_order_relaxed); }
  [[nodiscard]] const PerWorker<InputCounters>& counters() const { return counters_; }
  // Frames lost because a ring was full, since the receiver was made. The kernel forgets them
  // when they are read.
  [[nodiscard]] uint64_t kernel_drops();
  // Of all workers; 0 if there are none.
  [[nodiscard]] size_t ring_bytes() const;
  [[nodiscard]] size_t long_ring_bytes() const;
  // Why there are no rings for long frames, though there were such; empty otherwise.
  [[nodiscard]] std::string long_ring_error() const;
  [[nodiscard]] KernelFilter filter() const {
    return kernel_filter_.load(std::memory_order_relaxed);
  }

 private:
  Status open(const LinkFacts& facts);
  Status open_long_rings();
  [[nodiscard]] std::vector<const RxRing*> rings() const;
  bool set_filter(const Filter& filter) const;
  void attach(const std::vector<FilterTarget>& targets);
  Filter attach_best(const std::vector<FilterTarget>& targets, Filter wanted) const;

  const int ifindex_;
  const size_t requested_bytes_;
  RingMemory& memory_;
  const int attention_;
  Workers& workers_;
  PerWorker<InputCounters> counters_;
  std::atomic<LinkState> state_{LinkState::kMissing};
  std::atomic<KernelFilter> kernel_filter_{KernelFilter::kExact};
  std::unique_ptr<const RuleTable> table_;
  std::vector<FilterTarget> targets_;
  Filter filter_;
  Fanout fanout_;
  size_t link_header_ = 0;
  bool long_rings_tried_ = false;
  // Of the rings that are open.
  RingMemory::Share share_;
  RingMemory::Share long_share_;
  // Guards what follows against kernel_drops() and ring_bytes(); the control thread alone changes
  // inputs_.
  mutable std::mutex ring_;
  // One for each worker, or none.
  std::vector<std::unique_ptr<Input>> inputs_;
  std::string long_ring_error_;
  uint64_t kernel_drops_ = 0;
};

}  // namespace mcfleet
