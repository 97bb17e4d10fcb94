#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

// Packets for tests, made the plain way: byte by byte, with a checksum that shares no code with
// ours.
namespace packets {

using Bytes = std::vector<uint8_t>;

inline uint16_t reference_sum(const uint8_t* data, size_t size, uint32_t sum = 0) {
  for (size_t i = 0; i < size; i++) {
    sum += i % 2 == 0 ? static_cast<uint32_t>(data[i]) << 8 : data[i];
    if (sum > 0xffff) sum -= 0xffff;
  }
  return static_cast<uint16_t>(sum);
}

inline void put16(uint8_t* at, size_t value) {
  at[0] = static_cast<uint8_t>(value / 256 % 256);
  at[1] = static_cast<uint8_t>(value % 256);
}
inline void put32(uint8_t* at, uint32_t value) {
  put16(at, value >> 16);
  put16(at + 2, value & 0xffff);
}
inline uint16_t get16(const uint8_t* at) {
  return static_cast<uint16_t>(at[0] * 256 + at[1]);
}
inline uint32_t get32(const uint8_t* at) {
  return uint32_t{get16(at)} * 65536 + get16(at + 2);
}

// The sum of the IPv4 pseudo-header of the datagram at `ip`.
inline uint16_t reference_pseudo_sum(const uint8_t* ip, uint16_t udp_length) {
  uint8_t pseudo[12] = {};
  for (size_t i = 0; i < 8; i++) pseudo[i] = ip[12 + i];
  pseudo[9] = 17;
  put16(pseudo + 10, udp_length);
  return reference_sum(pseudo, sizeof(pseudo));
}

// The UDP checksum that the datagram at `ip` should carry, 1 to 0xffff.
inline uint16_t reference_udp_checksum(const Bytes& packet, size_t ip_header) {
  Bytes copy = packet;
  uint8_t* udp = copy.data() + ip_header;
  const uint16_t length = get16(udp + 4);
  put16(udp + 6, 0);
  const uint16_t sum = reference_sum(udp, length, reference_pseudo_sum(copy.data(), length));
  const auto checksum = static_cast<uint16_t>(~sum);
  return checksum == 0 ? uint16_t{0xffff} : checksum;
}

inline bool ip_checksum_right(const uint8_t* ip) {
  return reference_sum(ip, size_t{ip[0] & 15U} * 4) == 0xffff;
}

struct Spec {
  uint32_t source = 0x0a636363;
  uint32_t destination = 0xef010101;
  uint16_t source_port = 40000;
  uint16_t destination_port = 5001;
  uint8_t ttl = 8;
  uint8_t tos = 0;
  uint16_t id = 0x1234;
  uint16_t flags = 0;
  Bytes options;
  Bytes payload = {'m', 'c', 'a', 's', 't'};
};

inline void set_ip_checksum(Bytes& packet) {
  const size_t header = size_t{packet[0] & 15U} * 4;
  put16(packet.data() + 10, 0);
  put16(packet.data() + 10, static_cast<uint16_t>(~reference_sum(packet.data(), header)));
}

// An IPv4 packet with a right UDP checksum.
inline Bytes ip_packet(const Spec& spec) {
  const size_t header = 20 + spec.options.size();
  Bytes packet(header + 8 + spec.payload.size());
  packet[0] = static_cast<uint8_t>(0x40 + header / 4);
  packet[1] = spec.tos;
  put16(packet.data() + 2, packet.size());
  put16(packet.data() + 4, spec.id);
  put16(packet.data() + 6, spec.flags);
  packet[8] = spec.ttl;
  packet[9] = 17;
  put32(packet.data() + 12, spec.source);
  put32(packet.data() + 16, spec.destination);
  for (size_t i = 0; i < spec.options.size(); i++) packet[20 + i] = spec.options[i];
  uint8_t* udp = packet.data() + header;
  put16(udp, spec.source_port);
  put16(udp + 2, spec.destination_port);
  put16(udp + 4, 8 + spec.payload.size());
  for (size_t i = 0; i < spec.payload.size(); i++) udp[8 + i] = spec.payload[i];
  set_ip_checksum(packet);
  put16(udp + 6, reference_udp_checksum(packet, header));
  return packet;
}

inline Bytes frame(const Bytes& packet, uint16_t ethertype = 0x0800) {
  Bytes result(14 + packet.size());
  put16(result.data() + 12, ethertype);
  std::copy(packet.begin(), packet.end(), result.begin() + 14);
  return result;
}

template <typename Random>
Bytes random_bytes(Random& random, size_t size) {
  Bytes bytes(size);
  for (uint8_t& byte : bytes) byte = static_cast<uint8_t>(random() & 0xff);
  return bytes;
}

// Any datagram: all addresses, ports and sizes, with and without options.
template <typename Random>
Spec random_spec(Random& random, size_t max_payload) {
  Spec spec;
  spec.source = static_cast<uint32_t>(random());
  spec.destination = static_cast<uint32_t>(random());
  spec.source_port = static_cast<uint16_t>(random());
  spec.destination_port = static_cast<uint16_t>(random());
  spec.ttl = static_cast<uint8_t>(random());
  spec.tos = static_cast<uint8_t>(random());
  spec.id = static_cast<uint16_t>(random());
  spec.options = random() % 4 == 0 ? Bytes(4 * (random() % 11), 1) : Bytes();
  spec.payload = random_bytes(random, random() % (max_payload + 1));
  return spec;
}

}  // namespace packets
