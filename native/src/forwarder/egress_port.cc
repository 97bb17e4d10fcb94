#include "forwarder/egress_port.h"

#include <sys/socket.h>

#include "ring/packet_socket.h"

namespace mcfleet {

EgressPort::EgressPort(int ifindex, TransmitRequest request)
    : ifindex_(ifindex), kind_(Kind::kFrames), request_(request), link_(0) {
  publish(LinkState::kMissing, 0, 0);
}

EgressPort::EgressPort(std::shared_ptr<EgressPort> frames, const IpAddress& destination)
    : ifindex_(frames->ifindex_),
      kind_(destination.is_ipv4() ? Kind::kPackets : Kind::kIpv6Packets),
      request_(frames->request_),
      link_(0),
      frames_(std::move(frames)) {
  if (destination.is_ipv4()) unicast_.emplace(destination.ipv4());
  publish(LinkState::kMissing, 0, 0);
}

std::unique_ptr<EgressSocket> EgressPort::refresh() {
  const Result<LinkFacts> facts = read_link(ifindex_);
  if (!facts.ok()) {
    // A socket stays bound to the device that is gone, even if another one gets its index.
    publish(facts.error().code == ENODEV ? LinkState::kMissing : LinkState::kNoSocket, 0, 0);
    view_.store(nullptr, std::memory_order_release);
    return std::move(socket_);
  }
  LinkState state = link_state(facts.value());
  if (socket_ == nullptr && state != LinkState::kUnsupported && !open_socket().ok()) {
    state = LinkState::kNoSocket;
  }
  uint64_t mac = 0;
  for (const uint8_t byte : facts.value().mac) mac = mac << 8 | byte;
  mac_.store(mac, std::memory_order_relaxed);
  const int header = kind_ == Kind::kFrames ? link_header_length(facts.value()) : 0;
  publish(state, header > 0 ? header : 0, facts.value().mtu);
  return {};
}

Status EgressPort::open_socket() {
  Result<UniqueFd> opened =
      kind_ == Kind::kFrames
          ? open_frame_sender(ifindex_)
          : open_packet_sender(ifindex_, kind_ == Kind::kPackets ? AF_INET : AF_INET6);
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

void EgressPort::refresh_unicast(HostPolicy policy) {
  unicast_->refresh(ifindex_, request_, frames_->transmit(), frames_->link().header, policy);
}

void EgressPort::publish(LinkState state, int header, uint32_t mtu) {
  link_.store(uint64_t{mtu} << 32 | static_cast<uint64_t>(choose()) << 16 |
                  static_cast<uint64_t>(header) << 8 | static_cast<uint64_t>(state),
              std::memory_order_release);
}

Transmit EgressPort::choose() const {
  if (kind_ != Kind::kFrames) return Transmit::kPackets;
  return choose_transmit(
      {request_, kernel_takes_super_frames(), device_segments(ifindex_), uring_});
}

void EgressPort::flush() {
  EgressSocket* socket = view_.load(std::memory_order_acquire);
  if (socket == nullptr) {
    batch_.drop_all(link_drop_reason(link().state));
  } else if (socket->uring != nullptr) {
    batch_.send(*socket->uring);
  } else {
    batch_.send(socket->fd.get());
  }
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
    case LinkState::kUp:
    case LinkState::kNoSocket:
      break;
  }
  return DropReason::kNoSocket;
}

}  // namespace mcfleet
