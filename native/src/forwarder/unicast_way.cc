#include "forwarder/unicast_way.h"

namespace mcfleet {

std::optional<Transmit> unicast_obstacle(TransmitRequest request, Transmit frames,
                                         HostPolicy policy, bool plain_route) {
  if (request == TransmitRequest::kSendmmsg || request == TransmitRequest::kIoUring) {
    return Transmit::kPacketsAsked;
  }
  if (!sends_super_frames(frames)) return Transmit::kPackets;
  // Who asks for super-frames by name takes them past the host's rules, as those to groups.
  if (request != TransmitRequest::kGso) {
    if (policy == HostPolicy::kPresent) return Transmit::kPacketsPolicy;
    if (policy == HostPolicy::kUnknown) return Transmit::kPacketsPolicyUnknown;
  }
  if (!plain_route) return Transmit::kPacketsRoute;
  return std::nullopt;
}

void UnicastWay::refresh(int ifindex, TransmitRequest request, Transmit frames, int header,
                         HostPolicy policy) {
  ifindex_ = ifindex;
  next_hop_ = find_next_hop(ifindex, destination_);
  obstacle_ = unicast_obstacle(request, frames, policy, next_hop_.has_value());
  direct_ = frames == Transmit::kGsoDevice ? Transmit::kUnicastDevice : Transmit::kUnicastKernel;
  if (!next_hop_.has_value()) {
    publish(Mode::kRouted, 0, *obstacle_);
  } else if (header == 0) {
    // A device that carries bare IP packets has no neighbours.
    publish(obstacle_ ? Mode::kRouted : Mode::kDirect, 0, obstacle_.value_or(direct_));
    next_hop_.reset();
  } else {
    take(read_neighbour(ifindex, *next_hop_));
  }
}

void UnicastWay::take(const Neighbour& neighbour) {
  if (neighbour.ifindex != ifindex_ || next_hop_ != neighbour.address) return;
  if (neighbour.resolution == Resolution::kFailed) {
    publish(Mode::kUnreachable, 0, obstacle_.value_or(Transmit::kPacketsUnresolved));
  } else if (obstacle_ || !neighbour.usable()) {
    publish(Mode::kRouted, 0, obstacle_.value_or(Transmit::kPacketsUnresolved));
  } else {
    if (neighbour.resolution == Resolution::kStale) confirm_.store(true, std::memory_order_relaxed);
    publish(Mode::kDirect, neighbour.mac, direct_);
  }
}

void UnicastWay::publish(Mode mode, uint64_t mac, Transmit transmit) {
  transmit_.store(transmit, std::memory_order_relaxed);
  view_.store(static_cast<uint64_t>(mode) << 48 | mac, std::memory_order_relaxed);
}

}  // namespace mcfleet
