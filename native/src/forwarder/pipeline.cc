#include "forwarder/pipeline.h"

#include <time.h>

#include "packet/bytes.h"
#include "packet/parse.h"

namespace mcfleet {
namespace {

// Frames taken from one ring before what they gave is sent: five super-frames of the most common
// size. 64 cost a tenth more, 512 gain nothing (docs/measurements.md).
constexpr size_t kBurst = 256;
// The same of long frames.
constexpr size_t kLongBurst = 8;

void count(RelayCounters& counters, const Datagram& datagram, uint64_t time_ns) {
  counters.packets.add(datagram.segments);
  counters.bytes.add(datagram.wire_bytes());
  counters.last_packet_ns.set(time_ns);
}

// `ip`: the packet that `datagram` was parsed of.
template <typename Visit>
size_t match(const RuleTable& table, const Datagram& datagram, const uint8_t* ip, Visit&& visit) {
  if (datagram.ipv6) {
    return table.match_ipv6(ip, datagram.destination_port, datagram.vlan, visit);
  }
  return table.match(datagram.destination, datagram.destination_port, datagram.source,
                     datagram.vlan, visit);
}

}  // namespace

void Pipeline::settle() {
  if (!emitter_.unsettled()) return;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  const int64_t now_ms = int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
  if (now_ms < settled_ms_ + kSettleMs) return;
  settled_ms_ = now_ms;
  emitter_.settle();
}

bool Pipeline::drain(Input& input) {
  const RuleTable& table = *input.table.load(std::memory_order_acquire);
  size_t taken = 0;
  for (RxFrame frame; taken < kBurst;) {
    const RxRing* ring = input.take(frame);
    if (ring == nullptr) break;
    arrivals_.add(frame.time_ns);
    taken += frame.captured > RxRing::kSlotBytes ? kBurst / kLongBurst : 1;
    take(input, table, *ring, frame);
    // The kernel needs slots as well.
    if (ring->taken() >= ring->slots() / 2) break;
  }
  if (taken == 0) return false;
  send_all(input, table);
  input.release();
  return true;
}

// Sends what was taken up to now.
void Pipeline::send_all(Input& input, const RuleTable& table) {
  trains_.leave_all([&](Train& train) { forward(input, table, train); });
  emitter_.flush();
  latencies_.record();
  copies_.clear();
}

void Pipeline::take(Input& input, const RuleTable& table, const RxRing& ring, RxFrame& frame) {
  if (frame.copy) {
    if (frame.length > Input::kLongIpPacket + input.link_header) input.ask_for_long_ring();
    if (copies_.room() == nullptr) send_all(input, table);
    if (!ring.read_copy(frame, copies_.room())) {
      input.counters.packets.add(1);
      input.counters.drops.add(DropReason::kCopyLost, 1);
      return;
    }
    copies_.keep(sizeof(VnetHeader) + frame.captured);
  }
  read(input, table, frame);
}

void Pipeline::read(Input& input, const RuleTable& table, const RxFrame& frame) {
  Datagram datagram;
  const ParseResult parsed = parse_frame(frame.data, frame.captured, frame.length,
                                         input.link_header, frame.offload, datagram);
  if (frame.vlan != 0 && !table.wants_vlan(frame.vlan)) {
    input.counters.packets.add(datagram.segments);
    input.counters.drops.add(DropReason::kVlan, datagram.segments);
    return;
  }
  if (parsed.status == ParseStatus::kDrop && parsed.reason == DropReason::kFragment) {
    take_fragment(input, table, frame);
    return;
  }
  input.counters.packets.add(datagram.segments);
  if (parsed.status == ParseStatus::kDrop) {
    input.counters.drops.add(parsed.reason, datagram.segments);
    return;
  }
  if (parsed.status == ParseStatus::kNotUdp) {
    input.counters.unmatched.add(1);
    return;
  }
  datagram.vlan = frame.vlan;
  if (frame.captured != frame.length) {
    drop_truncated(input, table, datagram, frame);
    return;
  }
  uint8_t* ip = frame.data + input.link_header;
  if (table.drops_duplicates()) {
    input.loops.arrive(ip, input.link_header, datagram, frame.time_ns);
  }
  const bool checksum_right = (frame.offload.flags & kVnetDataValid) != 0;
  trains_.add(datagram, ip, frame.time_ns, checksum_right,
              [&](Train& train) { forward(input, table, train); });
}

void Pipeline::forward(Input& input, const RuleTable& table, Train& train) {
  if (table.drops_duplicates()) input.loops.leave(train, input.link_header, identifications_);
  const Datagram datagram = train.merged();
  const uint32_t mtu = input.mtu.load(std::memory_order_relaxed);
  const bool watched = table.drops_duplicates();
  const size_t relays = match(table, datagram, train.packet(0), [&](const RuleMatch& rule) {
    RelayCounters& counters = rule.counters[worker_];
    const uint64_t packets_before = counters.packets.get();
    count(counters, datagram, train.last_time_ns());
    if (datagram.ttl < rule.min_ttl) {
      counters.drops.add(DropReason::kLoop, datagram.segments);
    } else if (datagram.repeated && !rule.keep_duplicates) {
      counters.drops.add(DropReason::kDuplicate, datagram.segments);
    } else if (rule.limiter == nullptr) {
      emitter_.emit(rule.outputs, train, mtu, watched);
      latencies_.show(counters, packets_before, train.time_ns(0));
    } else {
      forward_within(*rule.limiter, rule, train, mtu, watched);
      latencies_.show(counters, packets_before, train.time_ns(0));
    }
  });
  if (relays == 0) {
    input.counters.unmatched.add(datagram.segments);
  } else {
    matched_.add(datagram.segments);
  }
}

// Forwards what of a train a limit lets pass, each datagram judged by its own time. What is left
// out ends a train: segments count up without a gap.
void Pipeline::forward_within(RateLimiter& limiter, const RuleMatch& rule, const Train& train,
                              uint32_t mtu, bool watched) {
  admitted_.clear();
  for (size_t i = 0; i < train.size(); i++) {
    const Datagram datagram = train.datagram(i);
    if (limiter.admit(datagram.segments, datagram.wire_bytes(), train.time_ns(i))) {
      admitted_.take_over(train, i);
      continue;
    }
    rule.counters[worker_].drops.add(DropReason::kRateLimited, datagram.segments);
    if (admitted_.empty()) continue;
    emitter_.emit(rule.outputs, admitted_, mtu, watched);
    admitted_.clear();
  }
  if (!admitted_.empty()) emitter_.emit(rule.outputs, admitted_, mtu, watched);
}

// A frame of which the ring holds only a part, for the queue of long frames was full.
void Pipeline::drop_truncated(Input& input, const RuleTable& table, const Datagram& datagram,
                              const RxFrame& frame) {
  const uint8_t* ip = frame.data + input.link_header;
  const size_t relays = match(table, datagram, ip, [&](const RuleMatch& rule) {
    RelayCounters& counters = rule.counters[worker_];
    count(counters, datagram, frame.time_ns);
    counters.drops.add(DropReason::kReceiveBufferFull, datagram.segments);
  });
  if (relays == 0) input.counters.unmatched.add(datagram.segments);
}

// A datagram in fragments is counted when it is complete or given up. Only the first fragment has
// ports, so that the kernel's filter passes those of every group.
void Pipeline::take_fragment(Input& input, const RuleTable& table, const RxFrame& frame) {
  InputCounters& counters = input.counters;
  const uint8_t* ip = frame.data + input.link_header;
  const bool wanted =
      ip[0] >> 4 == 6 ? table.wants_ipv6(ip, frame.vlan) : table.wants(load32(ip + 16), frame.vlan);
  if (!wanted) {
    counters.packets.add(1);
    counters.unmatched.add(1);
    return;
  }
  // Offloads are for whole datagrams; and what was captured in part cannot be put together.
  const bool plain =
      (frame.offload.flags & kVnetNeedsChecksum) == 0 && frame.offload.gso_type == kVnetGsoNone;
  if (!plain || frame.captured != frame.length) {
    counters.packets.add(1);
    counters.drops.add(plain ? DropReason::kReceiveBufferFull : DropReason::kMalformedOffload, 1);
    return;
  }
  const Reassembler::Result result = input.reassembler.add(frame.data, frame.vlan, frame.time_ns);
  counters.packets.add(result.given_up + result.evicted);
  counters.drops.add(DropReason::kFragment, result.given_up);
  counters.drops.add(DropReason::kTooManyFragments, result.evicted);
  if (result.length == 0) return;
  // It must stay until it is sent.
  static_assert(kEthernetHeader + kMaxIpPacket <= RxRing::kCopyBytes);
  if (copies_.room() == nullptr) send_all(input, table);
  uint8_t* kept = copies_.room();
  input.reassembler.write(kept);
  copies_.keep(result.length);
  RxFrame whole = frame;
  whole.data = kept;
  whole.captured = result.length;
  whole.length = result.length;
  whole.offload = {};
  read(input, table, whole);
}

}  // namespace mcfleet
