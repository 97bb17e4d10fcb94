#pragma once

#include <array>

#include "packets.h"

// IPv6 packets for tests, made as plainly as the IPv4 ones.
namespace packets::ipv6 {

using Address = std::array<uint8_t, 16>;

inline Address address(std::initializer_list<uint8_t> first, uint32_t last) {
  Address result{};
  std::copy(first.begin(), first.end(), result.begin());
  put32(result.data() + 12, last);
  return result;
}

// An options header of `units` times eight bytes, all padding. `next` is filled in by ip_packet().
struct Extension {
  uint8_t type;
  uint8_t units = 1;
};
inline constexpr uint8_t kHopByHop = 0;
inline constexpr uint8_t kRouting = 43;
inline constexpr uint8_t kFragment = 44;
inline constexpr uint8_t kDestinationOptions = 60;

struct Spec {
  Address source = address({0x20, 0x01, 0x0d, 0xb8}, 1);
  Address destination = address({0xff, 0x3e}, 0x80000001);
  uint16_t source_port = 40000;
  uint16_t destination_port = 5001;
  uint8_t hop_limit = 8;
  uint8_t traffic_class = 0;
  uint32_t flow_label = 0x12345;
  std::vector<Extension> extensions;
  Bytes payload = {'m', 'c', 'a', 's', 't'};
};

inline uint16_t reference_pseudo_sum(const uint8_t* ip, uint16_t udp_length) {
  Bytes pseudo(ip + 8, ip + 40);
  pseudo.resize(40);
  put32(pseudo.data() + 32, udp_length);
  pseudo[39] = 17;
  return reference_sum(pseudo.data(), pseudo.size());
}

inline uint16_t reference_udp_checksum(const Bytes& packet, size_t header) {
  Bytes copy = packet;
  uint8_t* udp = copy.data() + header;
  const uint16_t length = get16(udp + 4);
  put16(udp + 6, 0);
  const uint16_t sum = reference_sum(udp, length, reference_pseudo_sum(copy.data(), length));
  const auto checksum = static_cast<uint16_t>(~sum);
  return checksum == 0 ? uint16_t{0xffff} : checksum;
}

inline size_t header_size(const Spec& spec) {
  size_t size = 40;
  for (const Extension& extension : spec.extensions) size += size_t{extension.units} * 8;
  return size;
}

// A packet with a right UDP checksum.
inline Bytes ip_packet(const Spec& spec) {
  const size_t header = header_size(spec);
  Bytes packet(header + 8 + spec.payload.size());
  put32(packet.data(), 0x60000000U | uint32_t{spec.traffic_class} << 20 | spec.flow_label);
  put16(packet.data() + 4, packet.size() - 40);
  packet[7] = spec.hop_limit;
  std::copy(spec.source.begin(), spec.source.end(), packet.begin() + 8);
  std::copy(spec.destination.begin(), spec.destination.end(), packet.begin() + 24);
  size_t next = 6;
  size_t at = 40;
  for (const Extension& extension : spec.extensions) {
    packet[next] = extension.type;
    next = at;
    packet[at + 1] = static_cast<uint8_t>(extension.units - 1);
    // One PadN option.
    packet[at + 2] = 1;
    packet[at + 3] = static_cast<uint8_t>(extension.units * 8 - 4);
    at += size_t{extension.units} * 8;
  }
  packet[next] = 17;
  uint8_t* udp = packet.data() + header;
  put16(udp, spec.source_port);
  put16(udp + 2, spec.destination_port);
  put16(udp + 4, 8 + spec.payload.size());
  std::copy(spec.payload.begin(), spec.payload.end(), udp + 8);
  put16(udp + 6, reference_udp_checksum(packet, header));
  return packet;
}

inline Bytes frame(const Bytes& packet) {
  return packets::frame(packet, 0x86dd);
}

// A fragment of `packet`, whose headers up to `repeated` bytes all fragments repeat, with what is
// behind them from `begin` to `end`. `next_field`: where the last of those headers names the next.
struct Cut {
  size_t repeated = 40;
  size_t next_field = 6;
  uint32_t id = 0x01020304;
};
inline Bytes cut(const Bytes& packet, size_t begin, size_t end, const Cut& how = {}) {
  const bool more = how.repeated + end < packet.size();
  Bytes part(packet.begin(), packet.begin() + static_cast<long>(how.repeated));
  part[how.next_field] = kFragment;
  Bytes fragment(8);
  fragment[0] = packet[how.next_field];
  put16(fragment.data() + 2, begin + (more ? 1 : 0));
  put32(fragment.data() + 4, how.id);
  part.insert(part.end(), fragment.begin(), fragment.end());
  part.insert(part.end(), packet.begin() + static_cast<long>(how.repeated + begin),
              packet.begin() + static_cast<long>(how.repeated + end));
  put16(part.data() + 4, part.size() - 40);
  return part;
}

template <typename Random>
Address random_address(Random& random) {
  Address result{};
  for (uint8_t& byte : result) byte = static_cast<uint8_t>(random());
  return result;
}

template <typename Random>
Spec random_spec(Random& random, size_t max_payload) {
  Spec spec;
  spec.source = random_address(random);
  spec.destination = random_address(random);
  spec.source_port = static_cast<uint16_t>(random());
  spec.destination_port = static_cast<uint16_t>(random());
  spec.hop_limit = static_cast<uint8_t>(random());
  spec.traffic_class = static_cast<uint8_t>(random());
  spec.flow_label = static_cast<uint32_t>(random() & 0xfffff);
  if (random() % 4 == 0) spec.extensions.push_back({kHopByHop, 1});
  if (random() % 4 == 0) {
    spec.extensions.push_back({kDestinationOptions, static_cast<uint8_t>(1 + random() % 4)});
  }
  spec.payload = random_bytes(random, random() % (max_payload + 1));
  return spec;
}

}  // namespace packets::ipv6
