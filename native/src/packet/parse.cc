#include "packet/parse.h"

#include <algorithm>

#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/ipv6_headers.h"

namespace mcfleet {
namespace {

constexpr uint16_t kEthertypeIpv4 = 0x0800;
constexpr uint16_t kEthertypeIpv6 = 0x86dd;
constexpr uint8_t kProtocolUdp = 17;
constexpr uint16_t kDontFragment = 0x4000;
constexpr uint16_t kFragmentMask = 0x3fff;  // more fragments, or an offset
constexpr uint16_t kUdpChecksumOffset = 6;

constexpr ParseResult kOk{ParseStatus::kOk, DropReason::kCount};
constexpr ParseResult kNotUdp{ParseStatus::kNotUdp, DropReason::kCount};
constexpr ParseResult drop(DropReason reason) {
  return {ParseStatus::kDrop, reason};
}

// Reads the vnet header: checksum state and segmentation. Ports, lengths and addresses are already
// known.
ParseResult parse_offload(const VnetHeader& offload, size_t link_header, uint16_t udp_checksum,
                          Datagram& datagram) {
  const bool partial = (offload.flags & kVnetNeedsChecksum) != 0;
  if (partial) {
    if (offload.csum_start != link_header + datagram.ip_header ||
        offload.csum_offset != kUdpChecksumOffset) {
      return drop(DropReason::kMalformedOffload);
    }
    datagram.checksum = UdpChecksum::kPartial;
  } else {
    datagram.checksum = udp_checksum == 0 ? UdpChecksum::kNone : UdpChecksum::kFinished;
  }
  const bool exact = datagram.ip_header + datagram.udp_length == datagram.ip_length;
  // The device sums up to the end of the frame, so a surplus after the datagram would spoil the
  // checksum.
  if (partial && !exact) return drop(DropReason::kMalformedUdpLength);

  const auto type = static_cast<uint8_t>(offload.gso_type & ~kVnetGsoEcn);
  // UDP without L4 asks for IP fragments of one datagram. The egress fragments whatever exceeds its
  // MTU anyway.
  if (type == kVnetGsoNone || type == kVnetGsoUdp) return kOk;
  if (type != kVnetGsoUdpL4 || offload.gso_size == 0) return drop(DropReason::kMalformedOffload);
  if (!exact) return drop(DropReason::kMalformedUdpLength);
  const uint32_t payload = datagram.udp_length - static_cast<uint32_t>(kUdpHeader);
  const uint32_t segments = (payload + offload.gso_size - 1) / offload.gso_size;
  if (segments > kMaxSegments) return drop(DropReason::kMalformedOffload);
  if (segments > 1) {
    // Nothing without a checksum is ever merged (udp_gro_receive), and a zero field would leave as
    // a right checksum.
    if (datagram.checksum == UdpChecksum::kNone) return drop(DropReason::kMalformedOffload);
    if (!partial) datagram.checksum = UdpChecksum::kVerified;
    datagram.segment_size = offload.gso_size;
    datagram.segments = static_cast<uint16_t>(segments);
  }
  return kOk;
}

// Reads the UDP header behind the IP header of a packet of `total` bytes. False if it is cut off,
// or says that it is longer than the packet. Fewer than the IP payload are legal: the surplus
// carries UDP options (RFC 9868), and is forwarded as it is.
bool read_udp(const uint8_t* ip, size_t header, size_t total, size_t captured, Datagram& datagram) {
  if (total < header + kUdpHeader || captured < header + kUdpHeader) return false;
  const uint8_t* udp = ip + header;
  const size_t udp_length = load16(udp + 4);
  if (udp_length < kUdpHeader || udp_length > total - header) return false;
  datagram = {};
  datagram.source_port = load16(udp);
  datagram.destination_port = load16(udp + 2);
  datagram.ip_header = static_cast<uint16_t>(header);
  datagram.ip_length = static_cast<uint32_t>(total);
  datagram.udp_length = static_cast<uint16_t>(udp_length);
  return true;
}

// Reads an IPv6 packet (RFC 8200). `captured` and `available` bytes are at `ip`, of the frame's
// own.
ParseResult parse_ipv6(const uint8_t* ip, size_t captured, size_t available, size_t link_header,
                       const VnetHeader& offload, Datagram& datagram) {
  if (captured < 1) return drop(DropReason::kMalformedIpHeaderLength);
  if (ip[0] >> 4 != 6) return drop(DropReason::kMalformedIpVersion);
  if (captured < kIpv6Header) return drop(DropReason::kMalformedIpHeaderLength);
  const size_t total = kIpv6Header + load16(ip + 4);
  if (total > available) return drop(DropReason::kMalformedIpLength);
  const Ipv6Headers headers = read_ipv6_headers(ip, std::min(captured, total));
  switch (headers.end) {
    case Ipv6Headers::End::kPayload:
      break;
    case Ipv6Headers::End::kFragment:
      return may_be_udp(ip[headers.length]) ? drop(DropReason::kFragment) : kNotUdp;
    case Ipv6Headers::End::kTruncated:
      return drop(DropReason::kMalformedIpHeaderLength);
    case Ipv6Headers::End::kUnsupported:
      return drop(DropReason::kExtensionHeader);
  }
  if (headers.protocol != kProtocolUdp) return kNotUdp;
  const size_t header = headers.length;
  if (!read_udp(ip, header, total, captured, datagram)) {
    return drop(DropReason::kMalformedUdpLength);
  }

  datagram.ipv6 = true;
  datagram.source = ipv6_digest(ip + kIpv6Source);
  datagram.destination = ipv6_digest(ip + kIpv6Destination);
  datagram.ttl = ip[kIpv6HopLimit];
  return parse_offload(offload, link_header, load16(ip + header + 6), datagram);
}

}  // namespace

ParseResult parse_frame(const uint8_t* frame, size_t captured, size_t length, size_t link_header,
                        const VnetHeader& offload, Datagram& datagram) {
  if (captured < link_header) return drop(DropReason::kMalformedLinkHeader);
  const uint8_t* ip = frame + link_header;
  const size_t ip_captured = captured - link_header;
  const size_t ip_available = length - link_header;
  if (link_header == kEthernetHeader && load16(frame + 12) != kEthertypeIpv4) {
    if (load16(frame + 12) != kEthertypeIpv6) return kNotUdp;
    return parse_ipv6(ip, ip_captured, ip_available, link_header, offload, datagram);
  }

  if (ip_captured < 1) return drop(DropReason::kMalformedIpHeaderLength);
  if (ip[0] >> 4 != 4) {
    // Without an Ethernet type the version is all there is to tell the protocols apart.
    if (link_header == 0 && ip[0] >> 4 == 6) {
      return parse_ipv6(ip, ip_captured, ip_available, link_header, offload, datagram);
    }
    return drop(DropReason::kMalformedIpVersion);
  }
  if (ip_captured < kIpv4Header) return drop(DropReason::kMalformedIpHeaderLength);
  const size_t header = size_t{ip[0] & 0x0fU} * 4;
  if (header < kIpv4Header || header > ip_captured) {
    return drop(DropReason::kMalformedIpHeaderLength);
  }
  const size_t total = load16(ip + 2);
  if (total < header || total > ip_available) return drop(DropReason::kMalformedIpLength);
  if (sum_bytes(ip, header) != 0xffff) return drop(DropReason::kMalformedIpChecksum);
  if (ip[9] != kProtocolUdp) return kNotUdp;
  const uint16_t flags = load16(ip + 6);
  if ((flags & kFragmentMask) != 0) return drop(DropReason::kFragment);

  if (!read_udp(ip, header, total, ip_captured, datagram)) {
    return drop(DropReason::kMalformedUdpLength);
  }

  datagram.source = load32(ip + 12);
  datagram.destination = load32(ip + 16);
  datagram.ttl = ip[8];
  datagram.dont_fragment = (flags & kDontFragment) != 0;
  return parse_offload(offload, link_header, load16(ip + header + 6), datagram);
}

}  // namespace mcfleet
