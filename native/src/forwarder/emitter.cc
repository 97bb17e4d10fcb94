#include "forwarder/emitter.h"

#include <linux/if_ether.h>

#include <algorithm>
#include <cstring>

#include "packet/bytes.h"
#include "packet/fragment.h"
#include "packet/ipv6_fragment.h"
#include "packet/rewrite.h"
#include "packet/segment.h"
#include "packet/vnet_header.h"

namespace mcfleet {
namespace {

constexpr uint16_t kUdpChecksumOffset = 6;
// Between packets to a neighbour that does not answer.
constexpr uint64_t kTryAgainNs = 1'000'000'000;
// Ports that are settled in one go: two system calls each.
constexpr size_t kSettleAtOnce = 64;
// A datagram or super-frame of this size is sent from where it lies, rather than copied: at 2.7 KB
// both cost the same, at 26 KB copying costs a tenth more with 8 outputs (docs/measurements.md).
constexpr size_t kLongDatagram = 4096;

bool needs_checksum(const Datagram& datagram) {
  return datagram.checksum == UdpChecksum::kPartial || datagram.checksum == UdpChecksum::kVerified;
}

// Tells the kernel what is left to do: the checksum, the segmentation.
void write_offload(uint8_t* at, const Datagram& datagram, size_t link_header) {
  VnetHeader offload{};
  if (needs_checksum(datagram)) {
    offload.flags = kVnetNeedsChecksum;
    offload.csum_start = static_cast<uint16_t>(link_header + datagram.ip_header);
    offload.csum_offset = kUdpChecksumOffset;
  }
  if (datagram.segments > 1) {
    offload.gso_type = kVnetGsoUdpL4;
    offload.gso_size = datagram.segment_size;
    offload.hdr_len = static_cast<uint16_t>(link_header + datagram.ip_header + kUdpHeader);
  }
  std::memcpy(at, &offload, sizeof(offload));
}

// Whether a super-frame can leave as one: every datagram fits.
bool takes_super_frame(const EgressPort::Link& link, const Datagram& datagram) {
  return link.super_frames &&
         size_t{datagram.ip_header} + kUdpHeader + datagram.segment_size <= link.mtu;
}

// Whether a UDP socket sends a train just as it is: it makes a right checksum and forbids
// fragments; it leaves no identification of IPv4, by which loops are known where they are `watched`
// for (LoopWatch), and neither options nor extension headers nor a surplus.
bool suits_udp_socket(const Train& train, const Datagram& merged, bool watched) {
  constexpr uint16_t kOnlyDontFragment = 0x4000;
  if (merged.segments < 2 || merged.ip_header + merged.udp_length != merged.ip_length) return false;
  if (merged.checksum != UdpChecksum::kVerified && merged.checksum != UdpChecksum::kPartial) {
    return false;
  }
  if (merged.ipv6) return merged.ip_header == kIpv6Header;
  return !watched && merged.ip_header == kIpv4Header &&
         load16(train.packet(0) + 6) == kOnlyDontFragment;
}

void write_mac(uint8_t* at, uint64_t mac) {
  store16(at, static_cast<uint16_t>(mac >> 32 & 0xffff));
  store32(at + 2, static_cast<uint32_t>(mac & 0xffffffff));
}

// `to`: the address of a neighbour, or 0 for that of the group.
void write_ethernet(uint8_t* at, const Rewrite& rewrite, uint64_t to, uint64_t mac) {
  if (to != 0) {
    write_mac(at, to);
  } else if (rewrite.ipv6 != nullptr) {
    ipv6_group_mac(rewrite.ipv6->destination.data(), at);
  } else {
    group_mac(rewrite.destination, at);
  }
  write_mac(at + 6, mac);
  store16(at + 12, rewrite.ipv6 != nullptr ? ETH_P_IPV6 : ETH_P_IP);
}

IpAddress destination_of(const Rewrite& rewrite) {
  if (rewrite.ipv6 == nullptr) return rewrite.destination;
  return IpAddress::ipv6(rewrite.ipv6->destination.data());
}

}  // namespace

Emitter::Emitter(size_t worker, size_t workers)
    : worker_(worker),
      fragment_ids_(worker, workers),
      shared_(std::make_unique<uint8_t[]>(kMaxIpPacket)),
      whole_(std::make_unique<uint8_t[]>(kMaxIpPacket)),
      segment_(std::make_unique<uint8_t[]>(kMaxIpPacket)) {}

void Emitter::emit(std::span<const OutputAction> outputs, const Train& train, uint32_t input_mtu,
                   bool watched) {
  std::array<uint8_t, Train::kMaxHeaders> headers;
  std::span<const iovec> pieces;
  const Datagram merged = train.merged();
  for (const OutputAction& action : outputs) {
    const auto chosen = choose_way(action, train);
    if (const auto* reason = std::get_if<DropReason>(&chosen)) {
      action.counters[worker_].drops.add(*reason, merged.segments);
      continue;
    }
    const Way& way = std::get<Way>(chosen);
    const bool by_socket = goes_by_socket(way, train, merged, watched);
    const bool as_one = train.size() > 1 && takes_super_frame(way.link, merged);
    if ((as_one || by_socket) && pieces.empty()) {
      train.write_headers(headers.data());
      pieces = share_payload(train);
    }
    if (by_socket && emit_by_socket(way, train, merged, headers.data(), pieces)) continue;
    if (as_one) {
      emit_pieces(way, merged, headers.data(), pieces);
    } else {
      for (size_t i = 0; i < train.size(); i++) {
        emit_one(way, train.datagram(i), train.packet(i), input_mtu);
      }
    }
  }
}

std::variant<Emitter::Way, DropReason> Emitter::choose_way(const OutputAction& action,
                                                           const Train& train) {
  if (action.ports == nullptr) return DropReason::kInterfaceMissing;
  EgressPort& port = action.ports->of(worker_);
  OutputCounters* counters = action.counters + worker_;
  const Way routed{port, port.link(), action, counters};
  if (routed.link.state != LinkState::kUp) return link_drop_reason(routed.link.state);
  if (port.kind() == EgressPort::Kind::kFrames) return routed;
  // A raw socket fills in a source that is zero (raw(7)), and the UDP checksum would be wrong.
  if (train.first().source == 0 && action.rewrite.keeps_source()) return DropReason::kNoSource;
  const UnicastWay::View view = port.unicast().view();
  using Path = EgressPort::Path;
  Path path = Path::kPlain;
  bool segments = false;
  switch (view.mode) {
    case UnicastWay::Mode::kRouted:
      break;
    case UnicastWay::Mode::kTracked:
      path = Path::kTracked;
      break;
    case UnicastWay::Mode::kSegments:
      path = Path::kTracked;
      segments = true;
      break;
    case UnicastWay::Mode::kDirect:
      path = port.unicast().take_confirmation() ? Path::kTracked : Path::kFrames;
      break;
    case UnicastWay::Mode::kUnreachable:
      // What the kernel is given it would drop. Something must go there now and then, so that it
      // asks for the neighbour again.
      if (train.last_time_ns() < port.tried_ns + kTryAgainNs) return DropReason::kNoNeighbour;
      port.tried_ns = train.last_time_ns();
      path = Path::kTracked;
      break;
  }
  port.take_path(path);
  if (path != Path::kFrames) return Way{port, routed.link, action, counters, 0, segments};
  return Way{port.frames(), port.frames().link(), action, counters, view.mac};
}

void Emitter::emit_one(const Way& way, const Datagram& datagram, const uint8_t* ip,
                       uint32_t input_mtu) {
  // DF forbids to cut on the way; IPv6 has none, and a relay is where copies begin. A datagram
  // longer than the input's MTU was cut by its sender, and may be cut again.
  const bool drop_oversize = way.action.drop_oversize;
  const bool may_fragment =
      !drop_oversize && (!datagram.dont_fragment || datagram.ip_length > input_mtu);
  if (datagram.segments > 1) {
    if (takes_super_frame(way.link, datagram)) {
      emit_whole(way, datagram, ip);
    } else {
      emit_segments(way, datagram, ip, !drop_oversize && !datagram.dont_fragment);
    }
    return;
  }
  if (datagram.ip_length <= way.link.mtu) {
    emit_whole(way, datagram, ip);
    return;
  }
  std::memcpy(whole_.get(), ip, datagram.ip_length);
  rewrite_datagram(whole_.get(), datagram, way.action.rewrite);
  if (needs_checksum(datagram)) finish_checksum(whole_.get(), datagram);
  emit_fragments(way, datagram, whole_.get(), may_fragment);
}

void Emitter::emit_whole(const Way& way, const Datagram& datagram, const uint8_t* ip) {
  // A raw socket gets finished checksums, which are made in a copy.
  if (datagram.ip_length >= kLongDatagram && way.port.kind() == EgressPort::Kind::kFrames) {
    const size_t headers = datagram.ip_header + kUdpHeader;
    const iovec piece{const_cast<uint8_t*>(ip + headers), datagram.ip_length - headers};
    emit_pieces(way, datagram, ip, {&piece, 1});
    return;
  }
  uint8_t* copy = open_frame(way, datagram.ip_length);
  std::memcpy(copy, ip, datagram.ip_length);
  rewrite_datagram(copy, datagram, way.action.rewrite);
  const TxAccount account{way.counters, datagram.segments, datagram.wire_bytes(), true};
  if (way.port.kind() != EgressPort::Kind::kFrames && needs_checksum(datagram)) {
    finish_checksum(copy, datagram);
  }
  close_frame(way, copy, datagram.ip_length, datagram, account);
}

void Emitter::emit_pieces(const Way& way, const Datagram& datagram, const uint8_t* headers,
                          std::span<const iovec> pieces) {
  const size_t size = datagram.ip_header + kUdpHeader;
  uint8_t* copy = open_frame(way, size, pieces.size());
  std::memcpy(copy, headers, size);
  rewrite_datagram(copy, datagram, way.action.rewrite);
  const TxAccount account{way.counters, datagram.segments, datagram.wire_bytes(), true};
  close_frame(way, copy, size, datagram, account, pieces);
}

bool Emitter::goes_by_socket(const Way& way, const Train& train, const Datagram& merged,
                             bool watched) {
  if (!way.segments || !suits_udp_socket(train, merged, watched)) return false;
  if (size_t{merged.ip_header} + kUdpHeader + merged.segment_size > way.link.mtu) return false;
  const uint16_t given = way.action.rewrite.source_port;
  return way.port.serves_segments(given != 0 ? given : merged.source_port, merged.segments,
                                  train.last_time_ns());
}

bool Emitter::emit_by_socket(const Way& way, const Train& train, const Datagram& merged,
                             const uint8_t* headers, std::span<const iovec> pieces) {
  std::array<uint8_t, Train::kMaxHeaders> rewritten;
  std::memcpy(rewritten.data(), headers, train.headers());
  rewrite_datagram(rewritten.data(), merged, way.action.rewrite);
  // What became of it is asked later.
  list_pending(way.port);
  return way.port.send_segments(rewritten.data(), merged, pieces, train.last_time_ns(),
                                *way.counters);
}

std::span<const iovec> Emitter::share_payload(const Train& train) {
  const size_t payload = size_t{train.merged().udp_length} - kUdpHeader;
  if (payload >= train.size() * kLongDatagram) {
    for (size_t i = 0; i < train.size(); i++) {
      pieces_[i] = {const_cast<uint8_t*>(train.packet(i) + train.headers()), train.payload_of(i)};
    }
    return {pieces_.data(), train.size()};
  }
  if (shared_in_use_) flush();
  shared_in_use_ = true;
  train.write_payload(shared_.get());
  pieces_[0] = {shared_.get(), payload};
  return {pieces_.data(), 1};
}

void Emitter::emit_segments(const Way& way, const Datagram& super, const uint8_t* ip,
                            bool may_fragment) {
  std::memcpy(whole_.get(), ip, super.ip_length);
  rewrite_datagram(whole_.get(), super, way.action.rewrite);
  Segmenter segmenter(whole_.get(), super);
  Datagram datagram;
  while (segmenter.next(segment_.get(), datagram)) {
    if (datagram.ip_length > way.link.mtu) {
      emit_fragments(way, datagram, segment_.get(), may_fragment);
      continue;
    }
    uint8_t* copy = open_frame(way, datagram.ip_length);
    std::memcpy(copy, segment_.get(), datagram.ip_length);
    close_frame(way, copy, datagram.ip_length, datagram,
                {way.counters, 1, datagram.ip_length, true});
  }
}

void Emitter::emit_fragments(const Way& way, const Datagram& datagram, const uint8_t* rewritten,
                             bool may_fragment) {
  if (datagram.ipv6) {
    Ipv6Fragmenter fragmenter(rewritten, datagram.ip_length, way.link.mtu, fragment_ids_.ipv6());
    send_fragments(way, datagram, fragmenter, may_fragment);
    return;
  }
  const uint16_t id = fragment_ids_.ipv4(load16(rewritten + 4));
  Fragmenter fragmenter(rewritten, datagram.ip_header, datagram.ip_length, way.link.mtu, id,
                        datagram.dont_fragment);
  send_fragments(way, datagram, fragmenter, may_fragment);
}

template <typename AnyFragmenter>
void Emitter::send_fragments(const Way& way, const Datagram& datagram, AnyFragmenter& fragmenter,
                             bool may_fragment) {
  if (!may_fragment || !fragmenter.possible()) {
    way.counters->drops.add(DropReason::kMtu, 1);
    return;
  }
  // Fragments carry finished bytes: nothing is left to the device.
  Datagram plain = datagram;
  plain.checksum = UdpChecksum::kFinished;
  // Nothing may come between the fragments of one datagram: a receiver gives it up when more than
  // 64 others of its source do (net.ipv4.ipfrag_max_dist), and batches of other ports are as long.
  const size_t count = fragmenter.count();
  const size_t room = frame_headers(way) + way.link.mtu;
  if (!way.port.batch().fits(count, room)) way.port.flush();
  const bool in_one_batch = way.port.batch().fits(count, room);
  for (size_t left = count; left > 0; left--) {
    uint8_t* copy = open_frame(way, way.link.mtu);
    const size_t size = fragmenter.next(copy);
    close_frame(way, copy, size, plain, {way.counters, 1, datagram.ip_length, left == 1});
  }
  if (!in_one_batch) way.port.flush();
}

size_t Emitter::frame_headers(const Way& way) {
  return way.port.kind() == EgressPort::Kind::kFrames ? sizeof(VnetHeader) + way.link.header : 0;
}

uint8_t* Emitter::open_frame(const Way& way, size_t size, size_t pieces) {
  const size_t before = frame_headers(way);
  uint8_t* room = way.port.batch().reserve(before + size, pieces);
  if (room == nullptr) {
    // It stays in the list of pending ports; a flush of an empty batch costs nothing.
    way.port.flush();
    room = way.port.batch().reserve(before + size, pieces);
  }
  return room + before;
}

void Emitter::close_frame(const Way& way, uint8_t* ip, size_t size, const Datagram& datagram,
                          const TxAccount& account, std::span<const iovec> pieces) {
  TxBatch& batch = way.port.batch();
  list_pending(way.port);
  if (way.port.kind() != EgressPort::Kind::kFrames) {
    batch.commit(size, destination_of(way.action.rewrite), account);
    return;
  }
  const size_t link_header = way.link.header;
  if (link_header != 0) {
    write_ethernet(ip - link_header, way.action.rewrite, way.mac, way.port.mac());
  }
  write_offload(ip - link_header - sizeof(VnetHeader), datagram, link_header);
  batch.commit(sizeof(VnetHeader) + link_header + size, pieces, {}, account);
}

void Emitter::flush() {
  while (pending_ != nullptr) {
    EgressPort* port = pending_;
    pending_ = port->next_pending;
    port->pending = false;
    port->flush();
    if (!port->settled() && !port->unsettled.load(std::memory_order_relaxed)) list_unsettled(*port);
  }
  shared_in_use_ = false;
}

void Emitter::settle() {
  // Each at most once.
  for (size_t left = std::min(kSettleAtOnce, unsettled_count_); left > 0; left--) {
    EgressPort& port = *unsettled_;
    unsettled_ = port.next_unsettled;
    unsettled_count_--;
    port.settle();
    if (port.settled()) {
      // From here on it may be gone.
      port.unsettled.store(false, std::memory_order_release);
    } else {
      list_unsettled(port);
    }
  }
}

void Emitter::list_pending(EgressPort& port) {
  if (port.pending) return;
  port.pending = true;
  port.next_pending = pending_;
  pending_ = &port;
}

void Emitter::list_unsettled(EgressPort& port) {
  port.next_unsettled = nullptr;
  (unsettled_ != nullptr ? last_unsettled_->next_unsettled : unsettled_) = &port;
  last_unsettled_ = &port;
  unsettled_count_++;
  port.unsettled.store(true, std::memory_order_release);
}

}  // namespace mcfleet
