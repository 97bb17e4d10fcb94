#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

// Ethernet, IPv4 and UDP headers around a probe payload. Apart from the forwarder's own packet code
// on purpose: the probe judges what that code does, and must not share its mistakes.
namespace mcfleet::probe {

constexpr std::size_t kEthernetBytes = 14;
constexpr std::size_t kIpBytes = 20;
constexpr std::size_t kUdpBytes = 8;
constexpr std::size_t kFrameHeaderBytes = kEthernetBytes + kIpBytes + kUdpBytes;

using MacAddress = std::array<std::uint8_t, 6>;

// Addresses and ports in host byte order.
struct FrameAddresses final {
  MacAddress source_mac{};
  MacAddress destination_mac{};
  std::uint32_t source = 0;
  std::uint32_t destination = 0;
  std::uint16_t source_port = 0;
  std::uint16_t destination_port = 0;
  std::uint8_t ttl = 0;
};

// 01:00:5e and the low 23 bits of the group (RFC 1112, section 6.4).
[[nodiscard]] MacAddress multicast_mac(std::uint32_t group);

// Writes all headers; the payload follows at kFrameHeaderBytes. The UDP checksum comes with
// `finish_udp_checksum`.
void write_headers(std::span<std::uint8_t> frame, const FrameAddresses& addresses,
                   std::uint16_t identification);

// After the payload is complete.
void finish_udp_checksum(std::span<std::uint8_t> frame);

// A UDP datagram seen at an interface.
struct Datagram final {
  std::uint32_t source = 0;
  std::uint16_t source_port = 0;
  std::uint8_t ttl = 0;
  bool checksums_right = false;
  std::span<const std::uint8_t> payload;
};

// Reads an IPv4 packet that holds a whole UDP datagram; none if it does not or is truncated.
// `unfinished_checksum`: the kernel has left the UDP checksum to a device that does not exist
// (TP_STATUS_CSUMNOTREADY), it says nothing.
[[nodiscard]] std::optional<Datagram> read_datagram(std::span<const std::uint8_t> packet,
                                                    bool unfinished_checksum);

}  // namespace mcfleet::probe
