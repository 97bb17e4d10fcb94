#include "forwarder/egress_port.h"

#include <sys/socket.h>

#include <algorithm>

#include "forwarder/device_features.h"
#include "ring/packet_socket.h"

namespace mcfleet {

EgressPort::EgressPort(int ifindex, TransmitRequest request, RefusalCounters& refusals)
    : ifindex_(ifindex), kind_(Kind::kFrames), request_(request), refusals_(refusals), link_(0) {
  batch_.count_refusals(&refusals_);
  publish(LinkState::kMissing, 0, 0);
}

EgressPort::EgressPort(std::shared_ptr<EgressPort> frames, const IpAddress& destination,
                       SegmentCounters& segments)
    : ifindex_(frames->ifindex_),
      kind_(Kind::kPackets),
      request_(frames->request_),
      refusals_(frames->refusals_),
      link_(0),
      frames_(std::move(frames)) {
  unicast_.emplace(destination);
  batch_.count_refusals(&refusals_);
  tracked_.count_refusals(&refusals_);
  segments_ = std::make_unique<SegmentWay>(refusals_, segments);
  publish(LinkState::kMissing, 0, 0);
}

void EgressPort::refresh(const UnsafeQueues& queues, RetiredSockets& retired) {
  queue_unsafe_ = !queues.of(ifindex_).empty();
  const Result<LinkFacts> facts = read_link(ifindex_);
  // Frames go by the interface that the socket was bound to, even if another one has its index;
  // packets by the index.
  const bool lost =
      kind_ == Kind::kFrames && socket_ != nullptr && !is_bound_to(socket_->fd.get(), ifindex_);
  if (!facts.ok() || lost) close_sockets(retired);
  if (!facts.ok()) {
    publish(facts.error().code == ENODEV ? LinkState::kMissing : LinkState::kNoSocket, 0, 0);
    return;
  }
  LinkState state = link_state(facts.value());
  if (state != LinkState::kUnsupported && !open_sockets(facts.value().mtu).ok()) {
    state = LinkState::kNoSocket;
  }
  uint64_t mac = 0;
  for (const uint8_t byte : facts.value().mac) mac = mac << 8 | byte;
  mac_.store(mac, std::memory_order_relaxed);
  const int header = kind_ == Kind::kFrames ? link_header_length(facts.value()) : 0;
  device_mtu_ = facts.value().mtu;
  device_tells_.store(unicast_ && facts.value().has_queue && device_tells_what_leaves(ifindex_),
                      std::memory_order_relaxed);
  publish(state, header > 0 ? header : 0, device_mtu_);
}

void EgressPort::close_sockets(RetiredSockets& retired) {
  view_.store(nullptr, std::memory_order_release);
  tracked_view_.store(nullptr, std::memory_order_release);
  if (socket_ != nullptr) retired.plain.push_back(std::move(socket_));
  if (tracked_socket_ != nullptr) retired.tracked.push_back(std::move(tracked_socket_));
  if (segments_ != nullptr) segments_->close_unused_since(UINT64_MAX, retired.tracked);
}

Status EgressPort::open_sockets(uint32_t mtu) {
  if (socket_ == nullptr && (!unicast_ || !unicast_->has_neighbours())) {
    if (Status status = open_plain(); !status.ok()) return status;
  }
  if (tracked_socket_ == nullptr && unicast_ && unicast_->has_neighbours())
    return open_tracked(mtu);
  return {};
}

Status EgressPort::open_plain() {
  Result<UniqueFd> opened = kind_ == Kind::kFrames
                                ? open_frame_sender(ifindex_)
                                : open_packet_sender(ifindex_, unicast_->family());
  if (!opened.ok()) return opened.error();
  auto socket = std::make_unique<EgressSocket>();
  socket->fd = std::move(opened.value());
  if (kind_ == Kind::kFrames && request_ == TransmitRequest::kIoUring) {
    auto uring = UringSender::open(socket->fd.get());
    // What failed is told by transmit().
    uring_ = classify_uring_error(uring.ok() ? 0 : uring.error().code);
    if (uring.ok()) socket->uring = std::move(uring.value());
  }
  socket_ = std::move(socket);
  view_.store(socket_.get(), std::memory_order_release);
  return {};
}

Status EgressPort::open_tracked(uint32_t mtu) {
  Result<TrackedSocket> opened = open_tracked_socket(ifindex_, unicast_->family(), mtu);
  if (!opened.ok()) return opened.error();
  tracked_socket_ = std::make_unique<TrackedSocket>(std::move(opened.value()));
  tracked_view_.store(tracked_socket_.get(), std::memory_order_release);
  return {};
}

void EgressPort::refresh_unicast(const HostPolicies& policies) {
  unicast_->find_way(ifindex_, request_, frames_->transmit(), frames_->link().header,
                     unicast_->family() == AF_INET ? policies.ipv4 : policies.ipv6);
  LinkState state = link().state;
  // Before anything is sent there.
  if (state == LinkState::kUp && !open_sockets(device_mtu_).ok()) state = LinkState::kNoSocket;
  const uint32_t mtu = unicast_->mtu();
  publish(state, 0, mtu == 0 ? device_mtu_ : std::min(mtu, device_mtu_));
  unicast_->find_neighbour();
}

void EgressPort::publish(LinkState state, int header, uint32_t mtu) {
  link_.store(uint64_t{mtu} << 32 | static_cast<uint64_t>(choose()) << 16 |
                  static_cast<uint64_t>(header) << 8 | static_cast<uint64_t>(state),
              std::memory_order_release);
}

Transmit EgressPort::choose() const {
  if (kind_ != Kind::kFrames) return Transmit::kPackets;
  return choose_transmit(
      {request_, kernel_takes_super_frames(), device_segments(ifindex_), queue_unsafe_, uring_});
}

void EgressPort::flush() {
  if (path_ == Path::kTracked) {
    if (batch_.empty()) return;
    const TrackedSocket* tracked = tracked_view_.load(std::memory_order_acquire);
    tracked_.use(tracked, device_tells_.load(std::memory_order_relaxed));
    if (tracked == nullptr) {
      batch_.drop_all(link_drop_reason(link().state));
    } else {
      batch_.send(tracked_);
    }
    return;
  }
  EgressSocket* socket = view_.load(std::memory_order_acquire);
  if (socket == nullptr) {
    batch_.drop_all(link_drop_reason(link().state));
  } else if (socket->uring != nullptr) {
    batch_.send(*socket->uring);
  } else {
    batch_.send(socket->fd.get());
  }
}

LinkState EgressPort::state() const {
  const LinkState state = link().state;
  const bool unreachable = unicast_ && unicast_->view().mode == UnicastWay::Mode::kUnreachable;
  return state == LinkState::kUp && unreachable ? LinkState::kNoNeighbour : state;
}

void EgressPort::take_path(Path path) {
  if (path == path_) return;
  // What left the other way must not be overtaken.
  (path_ == Path::kFrames ? *frames_ : *this).flush();
  path_ = path;
}

void EgressPort::settle() {
  if (forget_.load(std::memory_order_relaxed) != nullptr) {
    if (const GoneCounters* gone = forget_.exchange(nullptr, std::memory_order_acq_rel)) {
      tracked_.forget(*gone);
      segments_->forget(*gone);
      forgotten_.store(true, std::memory_order_release);
    }
  }
  tracked_.use(tracked_view_.load(std::memory_order_acquire),
               device_tells_.load(std::memory_order_relaxed));
  tracked_.settle();
  segments_->settle();
}

bool EgressPort::send_segments(const uint8_t* ip, const Datagram& datagram,
                               std::span<const iovec> payload, uint64_t time_ns,
                               OutputCounters& counters) {
  flush();
  return segments_->send(
      {ip, datagram, payload, time_ns, device_tells_.load(std::memory_order_relaxed)}, counters);
}

DropReason link_drop_reason(LinkState state) {
  switch (state) {
    case LinkState::kDown:
      return DropReason::kInterfaceDown;
    case LinkState::kNoCarrier:
      return DropReason::kNoCarrier;
    case LinkState::kMissing:
      return DropReason::kInterfaceMissing;
    case LinkState::kUnsupported:
      return DropReason::kInterfaceType;
    case LinkState::kNoNeighbour:
      return DropReason::kNoNeighbour;
    case LinkState::kUp:
    case LinkState::kNoSocket:
      break;
  }
  return DropReason::kNoSocket;
}

}  // namespace mcfleet
