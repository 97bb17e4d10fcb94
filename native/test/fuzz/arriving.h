// Frames as a fuzzer's input describes them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "../packets.h"
#include "taken.h"

namespace mcfleet::fuzz {

using packets::Bytes;

// Reads the input, and zeros when it is used up.
struct Input {
  const uint8_t* data;
  size_t size;
  uint8_t byte() {
    if (size == 0) return 0;
    size--;
    return *data++;
  }
  uint16_t word() {
    const unsigned high = byte();
    return static_cast<uint16_t>(high << 8 | byte());
  }
};

// One arriving frame: four words and a few bits decide.
struct Arriving {
  Bytes packet;
  VnetHeader offload{};
};

// What the input says of the datagrams.
struct Wanted {
  uint8_t kind;
  uint8_t flow;
  uint8_t at;
  size_t number;
  Bytes payload;
};

inline Bytes ipv4_packet(const Wanted& wanted, size_t& header) {
  packets::Spec spec;
  spec.source = 0x0a000000U + wanted.flow % 5;
  spec.source_port = static_cast<uint16_t>(4000 + wanted.flow / 64);
  spec.id = static_cast<uint16_t>(wanted.flow % 3 == 0 ? 0 : 77 + wanted.number);
  spec.flags = (wanted.kind & 8) != 0 ? 0x4000 : 0;
  if ((wanted.kind & 0x80) != 0) {
    spec.ttl = static_cast<uint8_t>(wanted.at % 4);
    spec.tos = static_cast<uint8_t>(wanted.at & 0xf0);
  }
  if ((wanted.kind & 0x70) == 0x10) spec.options = {7, 3, 4, 0x94, 4, 0, 0, 0};
  spec.payload = wanted.payload;
  header = kIpv4Header + spec.options.size();
  return packets::ip_packet(spec);
}

inline Bytes ipv6_packet(const Wanted& wanted, size_t& header) {
  packets::ipv6::Spec spec;
  packets::put32(spec.source.data() + 12, 0x0a000000U + wanted.flow % 5);
  spec.source_port = static_cast<uint16_t>(4000 + wanted.flow / 64);
  if ((wanted.kind & 8) != 0) spec.flow_label = wanted.flow;
  if ((wanted.kind & 0x80) != 0) {
    spec.hop_limit = static_cast<uint8_t>(wanted.at % 4);
    spec.traffic_class = static_cast<uint8_t>(wanted.at & 0xf0);
  }
  if ((wanted.kind & 0x70) == 0x10) {
    if ((wanted.flow & 2) != 0) spec.extensions.push_back({packets::ipv6::kHopByHop});
    spec.extensions.push_back({packets::ipv6::kDestinationOptions});
  }
  spec.payload = wanted.payload;
  header = packets::ipv6::header_size(spec);
  return packets::ipv6::ip_packet(spec);
}

// Which families the frames are of.
enum class Families : uint8_t { kIpv4, kIpv6, kBoth };

inline Arriving arriving(Input& input, size_t usual_size, size_t number, Families families) {
  const uint8_t kind = input.byte();
  const uint8_t flow = input.byte();
  const uint16_t own_size = input.word();
  const uint8_t at = input.byte();
  const uint8_t change = input.byte();
  const bool super = (kind & 0x74) == 0x44;
  const size_t size = (kind & 0x70) == 0x20 ? own_size % 5000 : usual_size;
  Wanted wanted{kind, flow, at, number, Bytes(super ? own_size : size)};
  // What an IP packet can hold; IPv6 would allow for 20 bytes more.
  wanted.payload.resize(std::min<size_t>(wanted.payload.size(), 65'400));
  for (size_t i = 0; i < wanted.payload.size(); i++) {
    wanted.payload[i] = static_cast<uint8_t>(number * 31U + i * 7 + (i >> 8));
  }
  if (wanted.payload.size() >= 2) packets::put16(wanted.payload.data(), number);
  const bool ipv6 = families == Families::kIpv6 || (families == Families::kBoth && (flow & 1) != 0);
  size_t header = 0;
  Arriving made;
  made.packet = ipv6 ? ipv6_packet(wanted, header) : ipv4_packet(wanted, header);
  uint8_t* udp = made.packet.data() + header;
  if ((kind & 0x70) == 0x30) {
    // Anything in the headers, the lengths included.
    made.packet[at % (header + kUdpHeader)] ^= change;
    if (ipv6) return made;
    const size_t length = size_t{made.packet[0] & 15U} * 4;
    if (length < 20 || length > made.packet.size()) return made;
    packets::set_ip_checksum(made.packet);
  } else if ((kind & 3) == 1) {
    packets::put16(udp + 6, packets::get16(udp + 6) ^ (1U + change));
  } else if ((kind & 3) == 2) {
    packets::put16(udp + 6, 0);
  } else if ((kind & 3) == 3) {
    made.offload.flags = kVnetNeedsChecksum;
    made.offload.csum_start = static_cast<uint16_t>(header);
    made.offload.csum_offset = 6;
    packets::put16(
        udp + 6, taken::pseudo_sum(made.packet, static_cast<uint16_t>(8 + wanted.payload.size())));
  }
  if (super) {
    made.offload.gso_type = kVnetGsoUdpL4;
    made.offload.gso_size = static_cast<uint16_t>(usual_size);
    made.offload.hdr_len = static_cast<uint16_t>(header + kUdpHeader);
  }
  return made;
}

}  // namespace mcfleet::fuzz
