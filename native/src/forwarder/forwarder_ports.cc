// The ports of a Forwarder, and what it learns of the neighbours of those to unicast addresses.
#include <utility>

#include "base/unix_time.h"
#include "forwarder/forwarder.h"

namespace mcfleet {

std::shared_ptr<EgressPorts> Forwarder::ports_for(int ifindex, EgressPort::Kind kind,
                                                  const IpAddress& destination) {
  const bool frames = kind == EgressPort::Kind::kFrames;
  const PortKey key{ifindex, kind, frames ? IpAddress() : destination};
  const auto found = ports_.find(key);
  if (found != ports_.end()) return found->second;
  std::shared_ptr<EgressPorts> ports;
  if (frames) {
    auto& refusals = refusals_[ifindex];
    if (refusals == nullptr) {
      refusals = std::make_shared<PerWorker<RefusalCounters>>(workers_->size());
      losses_due_ = true;
    }
    ports = std::make_shared<EgressPorts>(ifindex, options_.transmit, refusals);
  } else {
    watch_neighbours();
    ports = std::make_shared<EgressPorts>(ports_for(ifindex, EgressPort::Kind::kFrames, {}),
                                          destination, segment_counters_);
  }
  if (std::exchange(queues_due_, false)) read_queues();
  // New ports have no socket to give back.
  RetiredSockets none;
  ports->refresh(queues_, none);
  if (!frames && neighbours_ != nullptr) ports->refresh_unicast(policies_);
  const std::lock_guard state(state_);
  ports_[key] = ports;
  return ports;
}

void Forwarder::read_queues() {
  UnsafeQueues queues = UnsafeQueues::read();
  const std::lock_guard state(state_);
  queues_ = std::move(queues);
}

// From the first unicast output on.
void Forwarder::watch_neighbours() {
  if (neighbours_ != nullptr) return;
  auto watch = NeighbourWatch::start(
      {[this](std::span<const Neighbour> neighbours) { take_neighbours(neighbours); },
       [this](const HostPolicies& policies) { refresh_unicast(policies); },
       [this] { refresh_segment_sockets(); }});
  // Without news of neighbours packets are left to the kernel.
  if (!watch.ok()) return;
  neighbours_ = std::move(watch.value());
  policies_ = read_host_policies();
}

void Forwarder::take_neighbours(std::span<const Neighbour> neighbours) {
  // The last word counts.
  std::map<std::pair<int, IpAddress>, Neighbour> news;
  for (const Neighbour& neighbour : neighbours) {
    news[{neighbour.ifindex, neighbour.address}] = neighbour;
  }
  const std::lock_guard control(control_);
  for (auto& [key, ports] : ports_) {
    if (key.kind != EgressPort::Kind::kPackets) continue;
    // That of all workers.
    const auto next_hop = ports->of(0).unicast().next_hop();
    if (!next_hop) continue;
    const auto found = news.find({key.ifindex, *next_hop});
    if (found != news.end()) ports->take(found->second);
  }
}

void Forwarder::refresh_unicast(const HostPolicies& policies) {
  const std::lock_guard control(control_);
  policies_ = policies;
  for (auto& [key, ports] : ports_) {
    if (key.kind == EgressPort::Kind::kPackets) ports->refresh_unicast(policies_);
  }
}

void Forwarder::refresh_segment_sockets() {
  const std::lock_guard control(control_);
  const uint64_t unused_since = unix_nano() - SegmentWay::kIdleNs;
  std::vector<std::unique_ptr<TrackedSocket>> retired;
  size_t open = 0;
  bool wanted = false;
  const auto each = [&](auto&& visit) {
    for (const auto& [key, ports] : ports_) {
      if (key.kind != EgressPort::Kind::kPackets) continue;
      const int ifindex = key.ifindex;
      ports->each_segment_way([&](SegmentWay& way, int family) { visit(way, ifindex, family); });
    }
  };
  each([&](SegmentWay& way, int, int) {
    way.close_unused_since(unused_since, retired);
    open += way.open();
    wanted |= way.wants();
  });
  if (wanted) {
    const LocalPorts local = LocalPorts::read();
    each([&](SegmentWay& way, int ifindex, int family) {
      if (!way.wants()) return;
      open += way.open_wanted(ifindex, family, local, kMostSegmentSockets - open);
    });
  }
  if (!retired.empty()) workers_->quiesce();
}

void Forwarder::drop_unused_ports(EgressPort::Kind kind) {
  std::vector<std::shared_ptr<EgressPorts>> ports;
  const std::lock_guard state(state_);
  for (auto port = ports_.begin(); port != ports_.end();) {
    // One that is not settled goes with a later change.
    if (port->first.kind != kind || port->second.use_count() > 1 || port->second->unsettled()) {
      port++;
      continue;
    }
    ports.push_back(std::move(port->second));
    port = ports_.erase(port);
  }
}

}  // namespace mcfleet
