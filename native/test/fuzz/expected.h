// What shall become of datagrams at an output.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "../packets.h"
#include "forwarder/relay_program.h"
#include "packet/rewrite.h"
#include "taken.h"

namespace mcfleet::fuzz {

using packets::Bytes;
using taken::cut;
using taken::require;
using taken::residue;
using taken::Taken;

// What residue() gives for a right checksum.
constexpr uint16_t kRight = 0xffff;

// What was added, and what is expected of it at each output: one datagram, or the segments of a
// super-frame.
struct Expected {
  Bytes packet;
  size_t ip_header;
  UdpChecksum checksum;
  bool any_id;
  // Its residue() shall be this.
  uint16_t residue;
};

inline uint8_t next_ttl(uint8_t ttl, const Rewrite& rewrite) {
  return rewrite.ttl != 0 ? rewrite.ttl : ttl > 1 ? static_cast<uint8_t>(ttl - 1) : uint8_t{1};
}

// RFC 791.
inline void rewrite_ipv4(Bytes& packet, const Rewrite& rewrite) {
  packet[8] = next_ttl(packet[8], rewrite);
  if (rewrite.dscp != kKeepDscp) {
    packet[1] = static_cast<uint8_t>((packet[1] & 3) | rewrite.dscp << 2);
  }
  if (rewrite.source != 0) packets::put32(packet.data() + 12, rewrite.source);
  packets::put32(packet.data() + 16, rewrite.destination);
}

// RFC 8200, section 3.
inline void rewrite_ipv6(Bytes& packet, const Rewrite& rewrite) {
  packet[7] = next_ttl(packet[7], rewrite);
  if (rewrite.dscp != kKeepDscp) {
    uint32_t first = packets::get32(packet.data());
    first = (first & ~0x0fc00000U) | uint32_t{rewrite.dscp} << 22;
    packets::put32(packet.data(), first);
  }
  const Ipv6Addresses& addresses = *rewrite.ipv6;
  if (!addresses.keep_source) {
    std::copy(addresses.source.begin(), addresses.source.end(), packet.begin() + 8);
  }
  std::copy(addresses.destination.begin(), addresses.destination.end(), packet.begin() + 24);
}

// As the rules say: what changes and what must not. The UDP checksum: RFC 768.
inline void check_rewritten(const Expected& before, const Taken::One& after,
                            const Rewrite& rewrite) {
  Bytes wanted = before.packet;
  const bool ipv6 = taken::is_ipv6(wanted);
  if (ipv6) {
    rewrite_ipv6(wanted, rewrite);
  } else {
    rewrite_ipv4(wanted, rewrite);
  }
  uint8_t* udp = wanted.data() + before.ip_header;
  if (rewrite.source_port != 0) packets::put16(udp, rewrite.source_port);
  if (rewrite.port != 0) packets::put16(udp + 2, rewrite.port);
  require(after.packet.size() == wanted.size(), "a datagram keeps its size");
  const uint16_t checksum = packets::get16(after.packet.data() + before.ip_header + 6);
  packets::put16(udp + 6, checksum);
  if (!ipv6) {
    if (before.any_id || after.any_id) {
      packets::put16(wanted.data() + 4, packets::get16(after.packet.data() + 4));
    }
    if (after.fragmented) packets::put16(wanted.data() + 6, 0);
    packets::set_ip_checksum(wanted);
  }
  require(wanted == after.packet, "headers are rewritten and the payload is not");
  if (before.checksum == UdpChecksum::kNone) {
    require(checksum == 0, "no checksum stays none");
    return;
  }
  require(checksum != 0, "a checksum stays one");
  require(residue(after.packet, before.ip_header) == before.residue,
          "a right checksum stays right and a wrong one wrong");
}

inline void expect(std::vector<Expected>& expected, const Bytes& ip, const Datagram& datagram) {
  Bytes packet(ip.begin(), ip.begin() + datagram.ip_length);
  if (datagram.segments == 1) {
    const uint16_t arrived =
        datagram.checksum == UdpChecksum::kFinished ? residue(packet, datagram.ip_header) : kRight;
    expected.push_back({packet, datagram.ip_header, datagram.checksum, false, arrived});
    return;
  }
  const size_t payload = datagram.udp_length - kUdpHeader;
  for (size_t offset = 0; offset < payload; offset += datagram.segment_size) {
    const size_t size = std::min<size_t>(datagram.segment_size, payload - offset);
    expected.push_back({cut(packet, datagram.ip_header, offset, size), datagram.ip_header,
                        UdpChecksum::kFinished, true, kRight});
  }
}

}  // namespace mcfleet::fuzz
