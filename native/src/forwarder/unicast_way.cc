#include "forwarder/unicast_way.h"

#include <sys/socket.h>

#include "base/kernel_release.h"

namespace mcfleet {
namespace {

// How frames leave to a neighbour where those to groups leave so.
Transmit unicast_frames(Transmit frames) {
  if (frames == Transmit::kFramesQueue) return Transmit::kUnicastQueue;
  return frames == Transmit::kGsoDevice ? Transmit::kUnicastDevice : Transmit::kUnicastKernel;
}

}  // namespace

std::optional<Transmit> unicast_obstacle(TransmitRequest request, Transmit frames,
                                         HostPolicy policy, bool plain_route) {
  if (request == TransmitRequest::kSendmmsg) return Transmit::kPacketsAsked;
  if (request == TransmitRequest::kIoUring) return Transmit::kPacketsNoUring;
  // Frames to the neighbour need not be super-frames where those to groups are none for the queue.
  if (!sends_super_frames(frames) && frames != Transmit::kFramesQueue) return Transmit::kPackets;
  // Who asks for super-frames by name takes them past the host's rules, as those to groups.
  if (request != TransmitRequest::kGso) {
    if (policy == HostPolicy::kPresent) return Transmit::kPacketsPolicy;
    if (policy == HostPolicy::kUnknown) return Transmit::kPacketsPolicyUnknown;
    // Of several next hops the raw socket would take one and a UDP socket another. One by one where
    // super-frames are not safe, they gain nothing.
    if (policy == HostPolicy::kFilters) {
      return plain_route && sends_super_frames(frames) ? Transmit::kUnicastUdp
                                                       : Transmit::kPacketsPolicy;
    }
  }
  if (!plain_route) return Transmit::kPacketsRoute;
  return std::nullopt;
}

int UnicastWay::family() const {
  return destination_.is_ipv4() ? AF_INET : AF_INET6;
}

void UnicastWay::find_way(int ifindex, TransmitRequest request, Transmit frames, int header,
                          HostPolicy policy) {
  ifindex_ = ifindex;
  const auto route = find_next_hop(ifindex, destination_);
  obstacle_ = unicast_obstacle(request, frames, policy, route && route->mtu == 0);
  // Without neighbours nothing tells what became of packets; and kernels that number messages of a
  // UDP socket also when there is no room for them (__ip_append_data) tell it of others.
  if (obstacle_ == Transmit::kUnicastUdp && (header == 0 || !kernel_is_since(6, 9))) {
    obstacle_ = Transmit::kPacketsPolicy;
  }
  mtu_ = route ? route->mtu : 0;
  direct_ = unicast_frames(frames);
  has_neighbours_ = header != 0;
  // Rules may translate the address, or choose another route for it.
  const bool no_rules = policy == HostPolicy::kNone || request == TransmitRequest::kGso;
  next_hop_.reset();
  if (route && has_neighbours_ && no_rules) next_hop_ = route->address;
}

void UnicastWay::find_neighbour() {
  if (next_hop_) {
    take(read_neighbour(ifindex_, *next_hop_));
  } else if (obstacle_ && has_neighbours_) {
    publish_tracked(*obstacle_);
  } else if (obstacle_) {
    publish(Mode::kRouted, 0, *obstacle_);
  } else {
    publish(Mode::kDirect, 0, direct_);
  }
}

void UnicastWay::take(const Neighbour& neighbour) {
  if (neighbour.ifindex != ifindex_ || next_hop_ != neighbour.address) return;
  const Transmit packets = obstacle_.value_or(Transmit::kPacketsUnresolved);
  switch (neighbour.resolution) {
    case Resolution::kFailed:
      publish(Mode::kUnreachable, 0, packets);
      return;
    case Resolution::kUnresolved:
      publish(Mode::kTracked, 0, packets);
      return;
    case Resolution::kStale:
    case Resolution::kKnown:
      break;
  }
  if (obstacle_) {
    publish(Mode::kTracked, 0, packets);
  } else if (neighbour.mac == 0) {
    // No frame can be addressed to it: the socket that tells serves as well.
    publish(Mode::kTracked, 0, packets);
  } else {
    if (neighbour.resolution == Resolution::kStale) confirm_.store(true, std::memory_order_relaxed);
    publish(Mode::kDirect, neighbour.mac, direct_);
  }
}

void UnicastWay::publish_tracked(Transmit transmit) {
  publish(transmit == Transmit::kUnicastUdp ? Mode::kSegments : Mode::kTracked, 0, transmit);
}

void UnicastWay::publish(Mode mode, uint64_t mac, Transmit transmit) {
  transmit_.store(transmit, std::memory_order_relaxed);
  view_.store(static_cast<uint64_t>(mode) << 48 | mac, std::memory_order_relaxed);
}

}  // namespace mcfleet
