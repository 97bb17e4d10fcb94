#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "base/counters.h"
#include "base/result.h"
#include "forwarder/egress_port.h"
#include "forwarder/input.h"
#include "forwarder/link_facts.h"
#include "forwarder/worker.h"
#include "ring/filter.h"

namespace mcfleet {

// What a worker may still be using; free it after quiesce().
struct Retired {
  std::vector<std::unique_ptr<const RuleTable>> tables;
  std::vector<std::unique_ptr<Input>> inputs;
  std::vector<std::unique_ptr<EgressSocket>> sockets;
};

// The control side of one input interface: its ring, kernel filter and rule table. A ring lives as
// long as the interface and any relay of it; rules come and go without touching it. One control
// thread changes it; the const methods and kernel_drops() may be called by others.
class Receiver final {
 public:
  Receiver(int ifindex, size_t ring_bytes, Worker& worker);
  Receiver(const Receiver&) = delete;
  Receiver& operator=(const Receiver&) = delete;

  // Reads the link, and opens the ring if there is none and the interface is there. An interface
  // that is down is no error: the ring is opened or wakes up with it. ENODEV: no such interface;
  // EAFNOSUPPORT: a kind that is not supported.
  Status refresh(Retired& retired);

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
  [[nodiscard]] const InputCounters& counters() const { return counters_; }
  // Frames lost because the ring was full, since the receiver was made. The kernel forgets them
  // when they are read.
  [[nodiscard]] uint64_t kernel_drops();
  // 0 if there is no ring.
  [[nodiscard]] size_t ring_bytes() const;
  [[nodiscard]] bool filter_exact() const { return exact_.load(std::memory_order_relaxed); }

 private:
  Status open(const LinkFacts& facts);
  void attach(const std::vector<FilterTarget>& targets);
  Filter attach_best(const std::vector<FilterTarget>& targets, Filter wanted) const;

  const int ifindex_;
  const size_t requested_bytes_;
  Worker& worker_;
  InputCounters counters_;
  std::atomic<LinkState> state_{LinkState::kMissing};
  std::atomic<bool> exact_{true};
  std::unique_ptr<const RuleTable> table_;
  std::vector<FilterTarget> targets_;
  Filter filter_;
  // Guards the next two against kernel_drops() and ring_bytes(); the control thread alone changes
  // input_.
  mutable std::mutex ring_;
  std::unique_ptr<Input> input_;
  uint64_t kernel_drops_ = 0;
};

}  // namespace mcfleet
