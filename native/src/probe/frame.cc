#include "probe/frame.h"

#include <endian.h>

#include <cstring>

namespace mcfleet::probe {

namespace {

constexpr std::uint8_t kProtocolUdp = 17;
constexpr std::uint16_t kDontFragment = 0x4000;

void store16(std::uint8_t* to, std::uint16_t value) {
  to[0] = static_cast<std::uint8_t>(value >> 8);
  to[1] = static_cast<std::uint8_t>(value);
}

void store32(std::uint8_t* to, std::uint32_t value) {
  store16(to, static_cast<std::uint16_t>(value >> 16));
  store16(to + 2, static_cast<std::uint16_t>(value));
}

std::uint16_t load16(const std::uint8_t* from) {
  return static_cast<std::uint16_t>(from[0] << 8 | from[1]);
}

std::uint32_t load32(const std::uint8_t* from) {
  return static_cast<std::uint32_t>(load16(from)) << 16 | load16(from + 2);
}

std::uint16_t fold(std::uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(sum);
}

// Ones' complement sum of big-endian 16-bit words (RFC 1071); an odd last byte is padded with zero.
// It does not depend on the byte order in which it is done (section 2.B), so words are taken as the
// machine has them, eight bytes at a time.
std::uint16_t sum_of(std::span<const std::uint8_t> bytes) {
  std::uint64_t low = 0;
  std::uint64_t high = 0;
  std::size_t i = 0;
  for (; i + 8 <= bytes.size(); i += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + i, 8);
    low += word & 0xffffffff;
    high += word >> 32;
  }
  std::uint64_t rest = 0;
  std::memcpy(&rest, bytes.data() + i, bytes.size() - i);
  return be16toh(fold(fold(low) + std::uint64_t{fold(high)} + fold(rest)));
}

// Of the datagram at the end of `packet`, whose IP header has `ip_bytes`; 0 if a present checksum
// is right.
std::uint16_t udp_checksum(std::span<const std::uint8_t> packet, std::size_t ip_bytes) {
  const auto datagram = packet.subspan(ip_bytes);
  const std::uint64_t pseudo_header =
      std::uint64_t{kProtocolUdp} + datagram.size() + sum_of(packet.subspan(12, 8));
  return static_cast<std::uint16_t>(~fold(pseudo_header + sum_of(datagram)));
}

}  // namespace

MacAddress multicast_mac(std::uint32_t group) {
  return {0x01,
          0x00,
          0x5e,
          static_cast<std::uint8_t>(group >> 16 & 0x7f),
          static_cast<std::uint8_t>(group >> 8),
          static_cast<std::uint8_t>(group)};
}

void write_headers(std::span<std::uint8_t> frame, const FrameAddresses& addresses,
                   std::uint16_t identification) {
  std::uint8_t* const ethernet = frame.data();
  std::memcpy(ethernet, addresses.destination_mac.data(), 6);
  std::memcpy(ethernet + 6, addresses.source_mac.data(), 6);
  store16(ethernet + 12, 0x0800);

  std::uint8_t* const ip = ethernet + kEthernetBytes;
  ip[0] = 0x45;
  ip[1] = 0;
  store16(ip + 2, static_cast<std::uint16_t>(frame.size() - kEthernetBytes));
  store16(ip + 4, identification);
  store16(ip + 6, kDontFragment);
  ip[8] = addresses.ttl;
  ip[9] = kProtocolUdp;
  store16(ip + 10, 0);
  store32(ip + 12, addresses.source);
  store32(ip + 16, addresses.destination);
  store16(ip + 10, static_cast<std::uint16_t>(~sum_of({ip, kIpBytes})));

  std::uint8_t* const udp = ip + kIpBytes;
  store16(udp, addresses.source_port);
  store16(udp + 2, addresses.destination_port);
  store16(udp + 4, static_cast<std::uint16_t>(frame.size() - kEthernetBytes - kIpBytes));
  store16(udp + 6, 0);
}

void finish_udp_checksum(std::span<std::uint8_t> frame) {
  const auto packet = frame.subspan(kEthernetBytes);
  std::uint8_t* const field = packet.data() + kIpBytes + 6;
  store16(field, 0);
  const std::uint16_t checksum = udp_checksum(packet, kIpBytes);
  store16(field, checksum == 0 ? 0xffff : checksum);  // 0 means "none" (RFC 768)
}

std::optional<Datagram> read_datagram(std::span<const std::uint8_t> packet,
                                      bool unfinished_checksum) {
  if (packet.size() < kIpBytes || packet[0] >> 4 != 4 || packet[9] != kProtocolUdp) {
    return std::nullopt;
  }
  const std::size_t ip_bytes = static_cast<std::size_t>(packet[0] & 15) * 4;
  const std::size_t total = load16(&packet[2]);
  const bool fragment = (load16(&packet[6]) & 0x3fff) != 0;
  if (ip_bytes < kIpBytes || total < ip_bytes + kUdpBytes || total > packet.size() || fragment) {
    return std::nullopt;
  }
  packet = packet.first(total);
  const auto udp = packet.subspan(ip_bytes);
  const std::size_t length = load16(&udp[4]);
  if (length < kUdpBytes || length > udp.size()) return std::nullopt;
  Datagram datagram;
  datagram.source = load32(&packet[12]);
  datagram.source_port = load16(&udp[0]);
  datagram.ttl = packet[8];
  const bool no_udp_checksum = unfinished_checksum || load16(&udp[6]) == 0;
  datagram.checksums_right =
      sum_of(packet.first(ip_bytes)) == 0xffff &&
      (no_udp_checksum || udp_checksum(packet.first(ip_bytes + length), ip_bytes) == 0);
  datagram.payload = udp.subspan(kUdpBytes, length - kUdpBytes);
  return datagram;
}

}  // namespace mcfleet::probe
