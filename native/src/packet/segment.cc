#include "packet/segment.h"

#include <algorithm>
#include <cstring>

#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/rewrite.h"

namespace mcfleet {

Segmenter::Segmenter(const uint8_t* ip, const Datagram& super)
    : ip_(ip),
      super_(super),
      payload_(super.udp_length - kUdpHeader),
      id_(super.ipv6 ? uint16_t{0} : load16(ip + 4)) {}

bool Segmenter::next(uint8_t* out, Datagram& datagram) {
  if (offset_ >= payload_) return false;
  const size_t headers = super_.ip_header + kUdpHeader;
  const size_t size = std::min(size_t{super_.segment_size}, payload_ - offset_);
  std::memcpy(out, ip_, headers);
  std::memcpy(out + headers, ip_ + headers + offset_, size);

  datagram = super_;
  datagram.segment_size = 0;
  datagram.segments = 1;
  datagram.ip_length = static_cast<uint32_t>(headers + size);
  datagram.udp_length = static_cast<uint16_t>(kUdpHeader + size);
  datagram.destination_port = load16(ip_ + super_.ip_header + 2);
  datagram.checksum = UdpChecksum::kFinished;
  uint8_t* udp = out + super_.ip_header;
  store16(udp + 4, datagram.udp_length);
  store16(udp + 6, super_.ipv6 ? finish_ipv6(out, datagram) : finish_ipv4(out, datagram));
  finish_checksum(out, datagram);
  offset_ += size;
  return true;
}

// Both complete the IP header of one datagram, and give the sum of its pseudo-header.
uint16_t Segmenter::finish_ipv4(uint8_t* out, Datagram& datagram) {
  datagram.source = load32(out + 12);
  datagram.destination = load32(out + 16);
  datagram.ttl = out[8];
  store16(out + 2, static_cast<uint16_t>(datagram.ip_length));
  // Consecutive identifications, as the kernel's segmentation makes them (inet_gso_segment).
  store16(out + 4, id_++);
  set_ip_checksum(out, super_.ip_header);
  return sum_udp_pseudo_header(datagram.source, datagram.destination, datagram.udp_length);
}

uint16_t Segmenter::finish_ipv6(uint8_t* out, Datagram& datagram) {
  datagram.source = ipv6_digest(out + kIpv6Source);
  datagram.destination = ipv6_digest(out + kIpv6Destination);
  datagram.ttl = out[kIpv6HopLimit];
  store16(out + kIpv6PayloadLength, static_cast<uint16_t>(datagram.ip_length - kIpv6Header));
  return sum_ipv6_pseudo_header(out, datagram.udp_length);
}

}  // namespace mcfleet
