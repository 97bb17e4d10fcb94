#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "forwarder/egress_port.h"

namespace mcfleet {

// The way out of one interface: a port for each worker, so that none waits for another. All of them
// send alike.
class EgressPorts final {
 public:
  // To groups.
  EgressPorts(int ifindex, TransmitRequest request, size_t workers) {
    for (size_t i = 0; i < workers; i++)
      ports_.push_back(std::make_shared<EgressPort>(ifindex, request));
  }
  // To a unicast address; `frames`: those to groups of the same interface.
  EgressPorts(std::shared_ptr<EgressPorts> frames, const IpAddress& destination)
      : frames_(std::move(frames)) {
    for (const auto& port : frames_->ports_)
      ports_.push_back(std::make_shared<EgressPort>(port, destination));
  }

  [[nodiscard]] EgressPort& of(size_t worker) const { return *ports_[worker]; }
  [[nodiscard]] int ifindex() const { return ports_.front()->ifindex(); }
  [[nodiscard]] EgressPort::Link link() const { return ports_.front()->link(); }
  [[nodiscard]] Transmit transmit() const { return ports_.front()->transmit(); }

  // As EgressPort::refresh() of each; adds the sockets that are no longer used to `retired`.
  void refresh(std::vector<std::unique_ptr<EgressSocket>>& retired) {
    for (const auto& port : ports_) retired.push_back(port->refresh());
  }
  // As EgressPort::refresh_unicast() of each.
  void refresh_unicast(HostPolicy policy) {
    for (const auto& port : ports_) port->refresh_unicast(policy);
  }

 private:
  // Of those to a unicast address.
  std::shared_ptr<EgressPorts> frames_;
  std::vector<std::shared_ptr<EgressPort>> ports_;
};

}  // namespace mcfleet
