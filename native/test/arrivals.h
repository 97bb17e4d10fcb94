#pragma once

// Packets as they arrive at a DuplicateWindow, and what a worker does with its verdicts.

#include <cstddef>
#include <cstdint>

#include "check.h"
#include "forwarder/duplicate_window.h"
#include "ipv6_packets.h"
#include "packet/identification.h"
#include "packets.h"

namespace arrivals {

using namespace mcfleet;
using packets::Bytes;

inline constexpr uint64_t kMillisecond = 1'000'000;
inline constexpr uint64_t kSecond = 1000 * kMillisecond;
inline constexpr uint64_t kStart = 1'700'000'000 * kSecond;

// A packet as it arrives: its station is the last byte of the Ethernet source address. As IPv6 it
// has the spec's payload and TTL, and a flow label.
struct Arrival {
  packets::Spec spec;
  uint8_t station = 1;
  uint32_t flow_label = 0;
};

inline Bytes frame_of(const Arrival& arrival) {
  Bytes frame;
  if (arrival.flow_label != 0) {
    packets::ipv6::Spec spec;
    spec.payload = arrival.spec.payload;
    spec.hop_limit = arrival.spec.ttl;
    spec.flow_label = arrival.flow_label;
    frame = packets::ipv6::frame(packets::ipv6::ip_packet(spec));
  } else {
    frame = packets::frame(packets::ip_packet(arrival.spec));
  }
  frame[11] = arrival.station;
  return frame;
}

// What a worker does with it: `stamp` is given to what lacks an identification, which then stays in
// `arrival`, as a mark does.
inline bool repeated(DuplicateWindow& window, Arrival& arrival, uint64_t now, uint16_t stamp) {
  Bytes frame = frame_of(arrival);
  Datagram datagram;
  CHECK(parse_frame(frame.data(), frame.size(), frame.size(), 14, {}, datagram).status ==
        ParseStatus::kOk);
  uint8_t* ip = frame.data() + 14;
  if (datagram.ipv6 || !lacks_identification(ip)) {
    const auto verdict = window.judge(ip, 14, datagram, now, 0, true);
    if (verdict.mark == 0) return verdict.repeated;
    CHECK(!verdict.repeated);
    if (datagram.ipv6) {
      CHECK(verdict.mark <= 0xfffff && verdict.mark != arrival.flow_label);
      arrival.flow_label = verdict.mark;
    } else {
      CHECK(verdict.mark <= 0xffff && verdict.mark != arrival.spec.id);
      arrival.spec.id = static_cast<uint16_t>(verdict.mark);
      set_identification(ip, arrival.spec.id);
      CHECK(!lacks_identification(ip));
    }
    return false;
  }
  set_identification(ip, stamp);
  CHECK(packets::ip_checksum_right(ip));
  CHECK(!lacks_identification(ip));
  arrival.spec.id = stamp;
  window.remember(ip, 14, datagram, now, 0);
  return false;
}

inline bool repeated(DuplicateWindow& window, Arrival arrival, uint64_t now) {
  return repeated(window, arrival, now, kFirstIdentification);
}

inline Arrival numbered(uint32_t number, size_t size = 200) {
  Arrival arrival;
  arrival.spec.payload = Bytes(size, 7);
  packets::put32(arrival.spec.payload.data(), number);
  return arrival;
}

// As Linux sends what a program writes with sendto().
inline Arrival unidentified(uint32_t number, size_t size = 200) {
  Arrival arrival = numbered(number, size);
  arrival.spec.id = 0;
  arrival.spec.flags = 0x4000;
  return arrival;
}

// Whether a copy is marked, of a sender of whom nothing is refused.
inline bool marked(DuplicateWindow& window, const Arrival& sent, uint64_t now) {
  Arrival arrival = sent;
  CHECK(!repeated(window, arrival, now, kFirstIdentification));
  return arrival.spec.id != sent.spec.id || arrival.flow_label != sent.flow_label;
}

}  // namespace arrivals
