#include "packet/rewrite.h"

#include <cstring>

#include "packet/bytes.h"
#include "packet/checksum.h"

namespace mcfleet {
namespace {

uint8_t next_ttl(uint8_t arriving, uint8_t fixed) {
  if (fixed != 0) return fixed;
  return arriving > 1 ? static_cast<uint8_t>(arriving - 1) : uint8_t{1};
}

// Rewrites ports and checksum. `pseudo`: what changed in the pseudo-header, of which `new_sum`
// makes the sum.
template <typename NewSum>
void rewrite_udp(uint8_t* udp, const Datagram& datagram, const Rewrite& rewrite,
                 const ChecksumChange& pseudo, NewSum&& new_sum) {
  const uint16_t port = rewrite.port != 0 ? rewrite.port : datagram.destination_port;
  const uint16_t source_port =
      rewrite.source_port != 0 ? rewrite.source_port : datagram.source_port;
  store16(udp, source_port);
  store16(udp + 2, port);
  switch (datagram.checksum) {
    case UdpChecksum::kNone:
      break;
    case UdpChecksum::kPartial:
      // The field holds the pseudo-header only; ports are summed by whoever finishes it.
      store16(udp + 6, pseudo.apply_to_sum(load16(udp + 6)));
      break;
    case UdpChecksum::kVerified:
      store16(udp + 6, new_sum());
      break;
    case UdpChecksum::kFinished: {
      ChecksumChange change = pseudo;
      change.word(datagram.destination_port, port);
      change.word(datagram.source_port, source_port);
      const uint16_t checksum = change.apply(load16(udp + 6));
      // Zero would say "no checksum" (RFC 768).
      store16(udp + 6, checksum == 0 ? uint16_t{0xffff} : checksum);
      break;
    }
  }
}

void rewrite_ipv6(uint8_t* ip, const Datagram& datagram, const Rewrite& rewrite) {
  const Ipv6Addresses& addresses = *rewrite.ipv6;
  const uint16_t before = sum_bytes(ip + kIpv6Source, 2 * kIpv6Address);
  if (!addresses.keep_source) {
    std::memcpy(ip + kIpv6Source, addresses.source.data(), kIpv6Address);
  }
  std::memcpy(ip + kIpv6Destination, addresses.destination.data(), kIpv6Address);
  ChecksumChange pseudo;
  pseudo.word(before, sum_bytes(ip + kIpv6Source, 2 * kIpv6Address));
  ip[kIpv6HopLimit] = next_ttl(datagram.ttl, rewrite.ttl);
  if (rewrite.dscp != kKeepDscp) {
    // The traffic class lies across the first two bytes, between version and flow label.
    ip[0] = static_cast<uint8_t>(0x60 | rewrite.dscp >> 2);
    ip[1] = static_cast<uint8_t>((rewrite.dscp & 3) << 6 | (ip[1] & 0x3f));
  }
  rewrite_udp(ip + datagram.ip_header, datagram, rewrite, pseudo,
              [&] { return sum_ipv6_pseudo_header(ip, datagram.udp_length); });
}

void rewrite_ipv4(uint8_t* ip, const Datagram& datagram, const Rewrite& rewrite) {
  const uint32_t source = rewrite.source != 0 ? rewrite.source : datagram.source;
  const uint8_t ttl = next_ttl(datagram.ttl, rewrite.ttl);

  ChecksumChange pseudo;
  pseudo.address(datagram.source, source);
  pseudo.address(datagram.destination, rewrite.destination);

  ChecksumChange header = pseudo;
  const auto protocol = ip[9];
  header.word(static_cast<uint16_t>(datagram.ttl << 8 | protocol),
              static_cast<uint16_t>(ttl << 8 | protocol));
  ip[8] = ttl;
  if (rewrite.dscp != kKeepDscp) {
    const uint16_t before = load16(ip);
    // The two ECN bits belong to the network (RFC 3168).
    ip[1] = static_cast<uint8_t>(rewrite.dscp << 2 | (ip[1] & 3));
    header.word(before, load16(ip));
  }
  store16(ip + 10, header.apply(load16(ip + 10)));
  store32(ip + 12, source);
  store32(ip + 16, rewrite.destination);
  rewrite_udp(ip + datagram.ip_header, datagram, rewrite, pseudo, [&] {
    return sum_udp_pseudo_header(source, rewrite.destination, datagram.udp_length);
  });
}

}  // namespace

void rewrite_datagram(uint8_t* ip, const Datagram& datagram, const Rewrite& rewrite) {
  if (rewrite.ipv6 != nullptr) {
    rewrite_ipv6(ip, datagram, rewrite);
  } else {
    rewrite_ipv4(ip, datagram, rewrite);
  }
}

void finish_checksum(uint8_t* ip, const Datagram& datagram) {
  uint8_t* udp = ip + datagram.ip_header;
  // The sum runs over the field as well, which holds the pseudo-header's sum.
  const auto checksum = static_cast<uint16_t>(~sum_bytes(udp, datagram.udp_length));
  store16(udp + 6, checksum == 0 ? uint16_t{0xffff} : checksum);
}

bool finished_checksum_is_right(const uint8_t* ip, const Datagram& datagram) {
  const uint16_t pseudo =
      datagram.ipv6
          ? sum_ipv6_pseudo_header(ip, datagram.udp_length)
          : sum_udp_pseudo_header(datagram.source, datagram.destination, datagram.udp_length);
  return fold(uint64_t{pseudo} + sum_bytes(ip + datagram.ip_header, datagram.udp_length)) == 0xffff;
}

void set_ip_checksum(uint8_t* ip, size_t header) {
  store16(ip + 10, 0);
  store16(ip + 10, static_cast<uint16_t>(~sum_bytes(ip, header)));
}

}  // namespace mcfleet
