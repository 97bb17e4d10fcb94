#pragma once

#include <algorithm>
#include <cstdint>
#include <memory>
#include <set>
#include <vector>

#include "base/counters.h"
#include "forwarder/egress_port.h"
#include "forwarder/per_worker.h"

namespace mcfleet {

// The way out of one interface: a port for each worker, so that none waits for another. All of them
// send alike.
class EgressPorts final {
 public:
  // Counters that are kept though nobody reads them any more, besides as many as are in use, and
  // those that come while workers forget others.
  static constexpr size_t kMostGone = 256;

  // To groups; `refusals`: of the interface, one for each worker.
  EgressPorts(int ifindex, TransmitRequest request,
              std::shared_ptr<PerWorker<RefusalCounters>> refusals)
      : refusals_(std::move(refusals)) {
    for (size_t i = 0; i < refusals_->size(); i++)
      ports_.push_back(std::make_shared<EgressPort>(ifindex, request, refusals_->data()[i]));
  }
  // To a unicast address; `frames`: those to groups of the same interface; `segments`: one for each
  // worker.
  EgressPorts(std::shared_ptr<EgressPorts> frames, const IpAddress& destination,
              std::shared_ptr<PerWorker<SegmentCounters>> segments)
      : frames_(std::move(frames)), segments_(std::move(segments)) {
    for (size_t i = 0; i < segments_->size(); i++) {
      ports_.push_back(
          std::make_shared<EgressPort>(frames_->ports_[i], destination, segments_->data()[i]));
    }
  }

  [[nodiscard]] EgressPort& of(size_t worker) const { return *ports_[worker]; }
  [[nodiscard]] int ifindex() const { return ports_.front()->ifindex(); }
  [[nodiscard]] LinkState state() const { return ports_.front()->state(); }
  [[nodiscard]] Transmit transmit() const { return ports_.front()->transmit(); }

  // As EgressPort::refresh() of each; adds the sockets that are no longer used to `retired`.
  void refresh(const UnsafeQueues& queues, RetiredSockets& retired) {
    for (const auto& port : ports_) port->refresh(queues, retired);
  }
  // As EgressPort::refresh_unicast() of each.
  void refresh_unicast(const HostPolicies& policies) {
    for (const auto& port : ports_) port->refresh_unicast(policies);
  }
  // Takes news of a neighbour of this interface, if it is theirs. Control thread.
  void take(const Neighbour& neighbour) {
    for (const auto& port : ports_) port->unicast().take(neighbour);
  }

  // The UDP sockets of each, and the family of their address. Control thread.
  template <typename Visit>
  void each_segment_way(Visit&& visit) const {
    for (const auto& port : ports_) visit(port->segments(), port->unicast().family());
  }

  // Whether a worker still has to find out what became of packets. Control thread.
  [[nodiscard]] bool unsettled() const {
    return std::any_of(ports_.begin(), ports_.end(), [](const auto& port) {
      return port->unsettled.load(std::memory_order_acquire);
    });
  }
  // Keeps these counters as long as packets of theirs may have to be accounted. Control thread.
  void keep(const std::shared_ptr<PerWorker<OutputCounters>>& counters) {
    // Those to groups are accounted at once.
    if (frames_ == nullptr) return;
    if (kept_.size() >= look_at_) drop_gone();
    kept_.insert(counters);
  }

 private:
  using Counters = std::shared_ptr<PerWorker<OutputCounters>>;

  // Gives up counters that nobody else has. Where packets of a queue that is never empty may point
  // to them, workers forget them first: what becomes of those packets is told to nobody.
  void drop_gone() {
    if (!leaving_.empty()) {
      for (const auto& port : ports_) {
        if (!port->has_forgotten()) return;
      }
      leaving_.clear();
    }
    const bool held = unsettled();
    std::erase_if(kept_, [&](const Counters& own) {
      if (own.use_count() > 1) return false;
      if (held) leaving_.push_back(own);
      return true;
    });
    if (!leaving_.empty()) ask_to_forget();
    look_at_ = 2 * kept_.size() + kMostGone;
  }
  void ask_to_forget() {
    gone_.assign(ports_.size(), {});
    for (size_t i = 0; i < ports_.size(); i++) {
      for (const Counters& own : leaving_) gone_[i].push_back(own->data() + i);
      std::sort(gone_[i].begin(), gone_[i].end());
      ports_[i]->ask_to_forget(gone_[i]);
    }
  }

  // Of those to groups.
  std::shared_ptr<PerWorker<RefusalCounters>> refusals_;
  // Of those to a unicast address.
  std::shared_ptr<EgressPorts> frames_;
  std::shared_ptr<PerWorker<SegmentCounters>> segments_;
  std::vector<std::shared_ptr<EgressPort>> ports_;
  std::set<Counters> kept_;
  // Those that workers are asked to forget, and by worker.
  std::vector<Counters> leaving_;
  std::vector<EgressPort::GoneCounters> gone_;
  // How many of kept_ there must be until it is looked for those that are gone.
  size_t look_at_ = kMostGone;
};

}  // namespace mcfleet
