#pragma once

#include <cstddef>
#include <cstdint>

namespace mcfleet {

// Fields of the IPv6 header (RFC 8200, section 3).
inline constexpr size_t kIpv6PayloadLength = 4;
inline constexpr size_t kIpv6NextHeader = 6;
inline constexpr size_t kIpv6HopLimit = 7;
inline constexpr size_t kIpv6Source = 8;
inline constexpr size_t kIpv6Destination = 24;
inline constexpr size_t kIpv6Address = 16;
// Fragment header (RFC 8200, section 4.5): next header, reserved, offset and flag, identification.
inline constexpr size_t kIpv6FragmentHeader = 8;

// The IPv6 header of a packet and the extension headers behind it, up to the first that is none of
// those that are skipped: options for hops and for the destination. They stay as they are. A
// routing header is not skipped, for then the destination need not be the last one.
struct Ipv6Headers {
  enum class End : uint8_t {
    // `protocol` begins behind the headers, or another extension header that nobody skips.
    kPayload,
    // A fragment header, all of which is there.
    kFragment,
    // There are fewer bytes than the headers say.
    kTruncated,
    // A routing header, headers in a wrong order, or more than kMaxIpv6Headers.
    kUnsupported,
  };

  End end = End::kPayload;
  uint8_t protocol = 0;
  // Bytes of the headers, a fragment header not included.
  size_t length = 0;
  // Where the last of them says what comes next.
  size_t next_field = kIpv6NextHeader;
  // Bytes of those that every fragment repeats (RFC 8200, section 4.5).
  size_t per_fragment = 0;
};

// `size` bytes are at `ip`, at least kIpv6Header.
Ipv6Headers read_ipv6_headers(const uint8_t* ip, size_t size);

// Whether UDP may come behind a fragment header that names `next`.
bool may_be_udp(uint8_t next);

// 32 bits of an address to tell flows apart; 0 only for "::".
uint32_t ipv6_digest(const uint8_t* address);

// Sum of the pseudo-header of the UDP datagram of a packet (RFC 8200, section 8.1).
uint16_t sum_ipv6_pseudo_header(const uint8_t* ip, uint16_t udp_length);

}  // namespace mcfleet
