#include "probe/frame.h"

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

// Ones' complement sum of big-endian words (RFC 1071), added to `sum`. Two words at a time; 64 bits
// have room for the carries.
std::uint64_t add_words(std::uint64_t sum, std::span<const std::uint8_t> bytes) {
  std::size_t i = 0;
  for (; i + 4 <= bytes.size(); i += 4) {
    std::uint32_t word;
    std::memcpy(&word, bytes.data() + i, 4);
    sum += __builtin_bswap32(word);
  }
  for (; i < bytes.size(); ++i) sum += static_cast<std::uint64_t>(bytes[i]) << (i % 2 == 0 ? 8 : 0);
  return sum;
}

std::uint16_t complement(std::uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<std::uint16_t>(~sum);
}

// Of the datagram at the end of `packet`, whose IP header has `ip_bytes`; 0 if a present checksum
// is right.
std::uint16_t udp_checksum(std::span<const std::uint8_t> packet, std::size_t ip_bytes) {
  const auto datagram = packet.subspan(ip_bytes);
  const std::uint64_t pseudo_header =
      add_words(kProtocolUdp + datagram.size(), packet.subspan(12, 8));
  return complement(add_words(pseudo_header, datagram));
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
  store16(ip + 10, complement(add_words(0, {ip, kIpBytes})));

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
      complement(add_words(0, packet.first(ip_bytes))) == 0 &&
      (no_udp_checksum || udp_checksum(packet.first(ip_bytes + length), ip_bytes) == 0);
  datagram.payload = udp.subspan(kUdpBytes, length - kUdpBytes);
  return datagram;
}

}  // namespace mcfleet::probe
