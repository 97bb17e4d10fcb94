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
  // To groups; `refusals`: of the interface, one for each worker.
  EgressPorts(int ifindex, TransmitRequest request,
              std::shared_ptr<PerWorker<RefusalCounters>> refusals)
      : refusals_(std::move(refusals)) {
    for (size_t i = 0; i < refusals_->size(); i++)
      ports_.push_back(std::make_shared<EgressPort>(ifindex, request, refusals_->data()[i]));
  }
  // To a unicast address; `frames`: those to groups of the same interface.
  EgressPorts(std::shared_ptr<EgressPorts> frames, const IpAddress& destination)
      : frames_(std::move(frames)) {
    for (const auto& port : frames_->ports_)
      ports_.push_back(std::make_shared<EgressPort>(port, destination));
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
    if (!unsettled()) std::erase_if(kept_, [](const auto& own) { return own.use_count() == 1; });
    kept_.insert(counters);
  }

 private:
  // Of those to groups.
  std::shared_ptr<PerWorker<RefusalCounters>> refusals_;
  // Of those to a unicast address.
  std::shared_ptr<EgressPorts> frames_;
  std::vector<std::shared_ptr<EgressPort>> ports_;
  std::set<std::shared_ptr<PerWorker<OutputCounters>>> kept_;
};

}  // namespace mcfleet
