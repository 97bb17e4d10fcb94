#include "packet/ipv6_headers.h"

#include <bit>
#include <cstring>

#include "packet/checksum.h"
#include "packet/parse.h"

namespace mcfleet {
namespace {

// Assigned Internet Protocol Numbers.
constexpr uint8_t kHopByHop = 0;
constexpr uint8_t kUdp = 17;
constexpr uint8_t kRouting = 43;
constexpr uint8_t kFragment = 44;
constexpr uint8_t kDestinationOptions = 60;

}  // namespace

Ipv6Headers read_ipv6_headers(const uint8_t* ip, size_t size) {
  Ipv6Headers headers;
  headers.protocol = ip[kIpv6NextHeader];
  headers.length = kIpv6Header;
  headers.per_fragment = kIpv6Header;
  for (;;) {
    const uint8_t* extension = ip + headers.length;
    switch (headers.protocol) {
      case kRouting:
        headers.end = Ipv6Headers::End::kUnsupported;
        return headers;
      case kFragment:
        headers.end = headers.length + kIpv6FragmentHeader <= size ? Ipv6Headers::End::kFragment
                                                                   : Ipv6Headers::End::kTruncated;
        return headers;
      case kHopByHop:
      case kDestinationOptions:
        break;
      default:
        return headers;
    }
    const bool hop_by_hop = headers.protocol == kHopByHop;
    // Options for hops come first, or not at all.
    if (hop_by_hop && headers.length != kIpv6Header) {
      headers.end = Ipv6Headers::End::kUnsupported;
      return headers;
    }
    if (headers.length + 2 > size) {
      headers.end = Ipv6Headers::End::kTruncated;
      return headers;
    }
    const size_t length = (size_t{extension[1]} + 1) * 8;
    if (headers.length + length > kMaxIpv6Headers) {
      headers.end = Ipv6Headers::End::kUnsupported;
      return headers;
    }
    if (headers.length + length > size) {
      headers.end = Ipv6Headers::End::kTruncated;
      return headers;
    }
    headers.next_field = headers.length;
    headers.protocol = extension[0];
    headers.length += length;
    if (hop_by_hop) headers.per_fragment = headers.length;
  }
}

bool may_be_udp(uint8_t next) {
  return next == kUdp || next == kDestinationOptions;
}

uint32_t ipv6_digest(const uint8_t* address) {
  uint64_t high = 0;
  uint64_t low = 0;
  std::memcpy(&high, address, sizeof(high));
  std::memcpy(&low, address + sizeof(high), sizeof(low));
  if ((high | low) == 0) return 0;
  uint64_t mixed = (high ^ std::rotl(low, 32)) * 0x9e3779b97f4a7c15U;
  mixed = (mixed ^ mixed >> 29 ^ low) * 0xff51afd7ed558ccdU;
  return static_cast<uint32_t>(mixed >> 32) | 1;
}

uint16_t sum_ipv6_pseudo_header(const uint8_t* ip, uint16_t udp_length) {
  return fold(uint64_t{sum_bytes(ip + kIpv6Source, 2 * kIpv6Address)} + udp_length + kUdp);
}

}  // namespace mcfleet
