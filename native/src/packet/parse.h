#pragma once

#include <cstddef>
#include <cstdint>

#include "base/drop_reason.h"
#include "packet/vnet_header.h"

namespace mcfleet {

inline constexpr size_t kEthernetHeader = 14;
inline constexpr size_t kIpv4Header = 20;
inline constexpr size_t kIpv6Header = 40;
inline constexpr size_t kUdpHeader = 8;
// Longest IPv4 packet: its length field has 16 bits.
inline constexpr size_t kMaxIpv4Packet = 65535;
// Longest IP packet: that of IPv6, whose length field leaves its own header out.
inline constexpr size_t kMaxIpPacket = kIpv6Header + 65535;
// Longest IPv6 header with the extension headers behind it that are taken. Networks lose packets
// with more (RFC 9098).
inline constexpr size_t kMaxIpv6Headers = kIpv6Header + 64;
// A super-frame of more segments is refused: senders make at most 128 (UDP_MAX_SEGMENTS,
// linux/udp.h), and a hostile guest behind a tap device must not turn one frame into sixty
// thousand.
inline constexpr uint32_t kMaxSegments = 512;

// What the UDP checksum field holds.
enum class UdpChecksum : uint8_t {
  // Zero: the sender made none (RFC 768; for IPv6 RFC 6935).
  kNone,
  // A finished checksum, right or wrong.
  kFinished,
  // The sum of the pseudo-header; the rest is left to whoever sends the frame on
  // (VIRTIO_NET_HDR_F_NEEDS_CSUM).
  kPartial,
  // A super-frame whose segments' checksums were found right when it was put together (UDP GRO);
  // the field itself means nothing.
  kVerified,
};

// The fields of one UDP datagram, or of a super-frame of several (UDP_SEGMENT, UDP GRO), that
// forwarding needs. Host order.
struct Datagram {
  // Addresses. Of IPv6, digests that tell flows apart, 0 for "::"; the addresses themselves are
  // read from the packet.
  uint32_t source = 0;
  uint32_t destination = 0;
  uint16_t source_port = 0;
  uint16_t destination_port = 0;
  // Whole IP packet, without link-layer padding.
  uint32_t ip_length = 0;
  // IP header with options or extension headers.
  uint16_t ip_header = 0;
  uint16_t udp_length = 0;
  // UDP payload of each segment but the last, which may be shorter; 0 if this is no super-frame.
  uint16_t segment_size = 0;
  // Datagrams on the wire: 1 if this is no super-frame.
  uint16_t segments = 1;
  // TTL or hop limit.
  uint8_t ttl = 0;
  bool ipv6 = false;
  // IPv4 only.
  bool dont_fragment = false;
  // Of the tag that the kernel took off, 0 if there was none: not from the bytes that are parsed.
  uint16_t vlan = 0;
  // Not from the parser but from those who remember other packets (LoopWatch): whether it was shown
  // to them, that they know it by its identification, and that it came back as in a loop of relays.
  bool shown = false;
  bool keeps_identification = false;
  bool repeated = false;
  UdpChecksum checksum = UdpChecksum::kNone;

  // Bytes of the IP packets on the wire: a super-frame counts each segment's headers.
  [[nodiscard]] uint64_t wire_bytes() const {
    return uint64_t{ip_length} + (segments - 1U) * (uint64_t{ip_header} + kUdpHeader);
  }
};

enum class ParseStatus : uint8_t {
  kOk,
  // Well-formed as far as one can see, and none of ours: ARP, TCP.
  kNotUdp,
  kDrop,
};

struct ParseResult {
  ParseStatus status;
  // Only if kDrop.
  DropReason reason;
};

// Reads one frame. `link_header` is 14 for Ethernet, 0 for devices without a link-layer header;
// `captured` are the bytes at `frame`, `length` those of the frame itself. A frame of which less
// was captured is parsed as far as the UDP header.
ParseResult parse_frame(const uint8_t* frame, size_t captured, size_t length, size_t link_header,
                        const VnetHeader& offload, Datagram& datagram);

}  // namespace mcfleet
