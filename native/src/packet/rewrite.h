#pragma once

#include <array>
#include <cstdint>

#include "packet/ipv6_headers.h"
#include "packet/parse.h"

namespace mcfleet {

// Leaves the DSCP as it arrives.
inline constexpr uint8_t kKeepDscp = 0xff;

// Addresses that one output gives to IPv6 datagrams.
struct Ipv6Addresses {
  std::array<uint8_t, kIpv6Address> destination{};
  std::array<uint8_t, kIpv6Address> source{};
  // Leaves the source as it arrives.
  bool keep_source = true;
};

// What one output changes in a datagram. Host order.
struct Rewrite {
  uint32_t destination = 0;
  // 0: the arriving one.
  uint32_t source = 0;
  // 0: the arriving one.
  uint16_t port = 0;
  // 0: the arriving TTL minus one, at least 1.
  uint8_t ttl = 0;
  // 0: the arriving one.
  uint16_t source_port = 0;
  // 0 to 63, or kKeepDscp.
  uint8_t dscp = kKeepDscp;
  // The addresses of an output that gets IPv6, in place of those above; null: IPv4.
  const Ipv6Addresses* ipv6 = nullptr;

  [[nodiscard]] bool keeps_source() const {
    return ipv6 != nullptr ? ipv6->keep_source : source == 0;
  }
};

// Rewrites the headers of the copy at `ip`, of which `datagram` was parsed. Checksums change
// incrementally: one that was wrong stays wrong, none stays none, and a partial one stays partial
// with the new pseudo-header; a verified one becomes partial. IP options and extension headers are
// left as they are. `rewrite` is of the datagram's family.
void rewrite_datagram(uint8_t* ip, const Datagram& datagram, const Rewrite& rewrite);

// Turns a partial UDP checksum, as left by rewrite_datagram, into a finished one. For senders
// without NEEDS_CSUM.
void finish_checksum(uint8_t* ip, const Datagram& datagram);

// Whether the finished UDP checksum of a datagram is right.
bool finished_checksum_is_right(const uint8_t* ip, const Datagram& datagram);

// Recomputes the checksum of an IPv4 header of `header` bytes.
void set_ip_checksum(uint8_t* ip, size_t header);

// Ethernet address of an IPv6 group: RFC 2464, section 7.
inline void ipv6_group_mac(const uint8_t* group, uint8_t* mac) {
  mac[0] = 0x33;
  mac[1] = 0x33;
  for (size_t i = 0; i < 4; i++) mac[2 + i] = group[12 + i];
}

// Ethernet address of an IPv4 group: RFC 1112, section 6.4.
inline void group_mac(uint32_t group, uint8_t* mac) {
  mac[0] = 0x01;
  mac[1] = 0x00;
  mac[2] = 0x5e;
  mac[3] = static_cast<uint8_t>(group >> 16 & 0x7f);
  mac[4] = static_cast<uint8_t>(group >> 8 & 0xff);
  mac[5] = static_cast<uint8_t>(group & 0xff);
}

}  // namespace mcfleet
