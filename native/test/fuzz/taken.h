#pragma once

#include <linux/if_ether.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <utility>

#include "../ipv6_packets.h"
#include "../packets.h"
#include "packet/ip_address.h"
#include "packet/parse.h"
#include "packet/vnet_header.h"

// What sockets were given, taken apart as a device and a receiver do it, with a reference of its
// own for checksums.
namespace taken {

using mcfleet::IpAddress;
using mcfleet::kEthernetHeader;
using mcfleet::kIpv4Header;
using mcfleet::kIpv6Header;
using mcfleet::kUdpHeader;
using mcfleet::kVnetGsoUdpL4;
using mcfleet::kVnetNeedsChecksum;
using mcfleet::VnetHeader;
using packets::Bytes;

inline void require(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "not so: %s\n", what);
  std::abort();
}

// One message as a socket was given it.
struct Sent {
  Bytes bytes;
  // None: the socket's own way.
  IpAddress destination;
};

inline bool is_ipv6(const Bytes& packet) {
  return packet[0] >> 4 == 6;
}
inline uint16_t pseudo_sum(const Bytes& packet, uint16_t udp_length) {
  return is_ipv6(packet) ? packets::ipv6::reference_pseudo_sum(packet.data(), udp_length)
                         : packets::reference_pseudo_sum(packet.data(), udp_length);
}
inline uint16_t udp_checksum(const Bytes& packet, size_t ip_header) {
  return is_ipv6(packet) ? packets::ipv6::reference_udp_checksum(packet, ip_header)
                         : packets::reference_udp_checksum(packet, ip_header);
}
// Writes what the size of the packet decides in its IP header.
inline void set_ip_length(Bytes& packet) {
  if (is_ipv6(packet)) {
    packets::put16(packet.data() + 4, packet.size() - kIpv6Header);
    return;
  }
  packets::put16(packet.data() + 2, packet.size());
  packets::set_ip_checksum(packet);
}
// The sum over pseudo-header and datagram: 0xffff if the checksum is right.
inline uint16_t residue(const Bytes& packet, size_t ip_header) {
  const uint8_t* udp = packet.data() + ip_header;
  const uint16_t length = packets::get16(udp + 4);
  const uint16_t sum = packets::reference_sum(udp, length, pseudo_sum(packet, length));
  return sum == 0 ? uint16_t{0xffff} : sum;
}

// Leaves a packet of the same datagram with `payload` bytes of it from `offset` on.
inline Bytes cut(const Bytes& super, size_t ip_header, size_t offset, size_t payload) {
  const size_t headers = ip_header + kUdpHeader;
  Bytes packet(super.begin(), super.begin() + static_cast<long>(headers));
  const auto from = super.begin() + static_cast<long>(headers + offset);
  packet.insert(packet.end(), from, from + static_cast<long>(payload));
  packets::put16(packet.data() + ip_header + 4, kUdpHeader + payload);
  set_ip_length(packet);
  packets::put16(packet.data() + ip_header + 6, udp_checksum(packet, ip_header));
  return packet;
}

// The datagrams that a message stands for on the wire.
class Taken final {
 public:
  // Frames for groups, or packets for the kernel to route. An output has a destination of each
  // family.
  Taken(bool frames, size_t mtu, const IpAddress& ipv4, const IpAddress& ipv6)
      : frames_(frames), mtu_(mtu), ipv4_(ipv4), ipv6_(ipv6) {}

  void take(const Sent& sent) {
    if (!frames_) {
      require(!sent.bytes.empty() && sent.destination == destination_of(sent.bytes),
              "a raw packet is sent to its destination");
      take_packet(sent.bytes, {});
      return;
    }
    VnetHeader offload;
    constexpr size_t kBefore = sizeof(VnetHeader) + kEthernetHeader;
    require(sent.bytes.size() > kBefore, "a frame has headers");
    std::memcpy(&offload, sent.bytes.data(), sizeof(offload));
    const uint8_t* ethernet = sent.bytes.data() + sizeof(VnetHeader);
    Bytes packet(sent.bytes.begin() + kBefore, sent.bytes.end());
    check_ethernet(ethernet, packet);
    take_packet(std::move(packet), offload);
  }

  struct One {
    Bytes packet;
    // The kernel counts the identification up, or it was cut for fragments.
    bool any_id = false;
    bool fragmented = false;
  };
  std::deque<One> datagrams;
  bool unfinished() const { return !fragments_.empty(); }

 private:
  const IpAddress& destination_of(const Bytes& packet) const {
    return is_ipv6(packet) ? ipv6_ : ipv4_;
  }

  // RFC 1112, section 6.4; RFC 2464, section 7.
  void check_ethernet(const uint8_t* ethernet, const Bytes& packet) const {
    const uint16_t type = packets::get16(ethernet + 12);
    if (is_ipv6(packet)) {
      uint8_t group[16];
      ipv6_.write_ipv6(group);
      require(type == ETH_P_IPV6 && packets::get16(ethernet) == 0x3333 &&
                  std::equal(ethernet + 2, ethernet + 6, group + 12),
              "a frame is addressed to its IPv6 group");
      return;
    }
    require(type == ETH_P_IP && ethernet[0] == 1 &&
                packets::get16(ethernet + 4) == (ipv4_.ipv4() & 0xffff),
            "a frame is addressed to its group");
  }

  void take_packet(Bytes packet, const VnetHeader& offload) {
    size_t header = 0;
    uint8_t protocol = 0;
    if (is_ipv6(packet)) {
      require(packet.size() >= kIpv6Header &&
                  packets::get16(packet.data() + 4) + kIpv6Header == packet.size(),
              "the IPv6 length is right");
      header = kIpv6Header;
      protocol = packet[6];
      // Extension headers as the tests make them: options, of so many times eight bytes.
      while (protocol == packets::ipv6::kHopByHop ||
             protocol == packets::ipv6::kDestinationOptions) {
        require(header + 8 <= packet.size(), "extension headers are whole");
        protocol = packet[header];
        header += (size_t{packet[header + 1]} + 1) * 8;
      }
    } else {
      require(packet.size() >= kIpv4Header && packets::get16(packet.data() + 2) == packet.size(),
              "the IP length is right");
      require(packets::ip_checksum_right(packet.data()), "the IP checksum is right");
      header = size_t{packet[0] & 15U} * 4;
    }
    const bool fragment = is_ipv6(packet) ? protocol == packets::ipv6::kFragment
                                          : (packets::get16(packet.data() + 6) & 0x3fff) != 0;
    if (fragment || unfinished()) {
      require(fragment, "nothing comes between fragments");
      require(offload.flags == 0 && offload.gso_type == 0, "a fragment is finished");
      take_fragment(packet, header);
      return;
    }
    uint8_t* udp = packet.data() + header;
    const uint16_t length = packets::get16(udp + 4);
    if ((offload.flags & kVnetNeedsChecksum) != 0) {
      constexpr size_t kLink = kEthernetHeader;
      require(offload.csum_start == kLink + header && offload.csum_offset == 6,
              "the device is told where the checksum is");
      require(packets::get16(udp + 6) == pseudo_sum(packet, length),
              "an unfinished checksum is that of the pseudo-header");
    }
    if (offload.gso_type == 0) {
      if ((offload.flags & kVnetNeedsChecksum) != 0) {
        packets::put16(udp + 6, udp_checksum(packet, header));
      }
      require(packet.size() <= mtu_, "a packet fits the MTU");
      datagrams.push_back({packet});
      return;
    }
    require(offload.gso_type == kVnetGsoUdpL4 && (offload.flags & kVnetNeedsChecksum) != 0 &&
                offload.hdr_len == kEthernetHeader + header + kUdpHeader && offload.gso_size > 0,
            "a super-frame is described to the device");
    require(header + kUdpHeader + offload.gso_size <= mtu_, "a segment fits the MTU");
    const size_t payload = length - kUdpHeader;
    require(payload > offload.gso_size, "a super-frame is more than one datagram");
    for (size_t offset = 0; offset < payload; offset += offload.gso_size) {
      const size_t size = std::min<size_t>(offload.gso_size, payload - offset);
      datagrams.push_back({cut(packet, header, offset, size), true});
    }
  }

  // `header`: what all fragments repeat.
  void take_fragment(const Bytes& packet, size_t header) {
    require(packet.size() <= mtu_, "a fragment fits the MTU");
    size_t behind = header;
    uint16_t place = 0;
    uint8_t next = 0;
    bool more = false;
    if (is_ipv6(packet)) {
      behind += 8;
      require(behind <= packet.size(), "a fragment header is whole");
      next = packet[header];
      place = packets::get16(packet.data() + header + 2);
      more = (place & 1) != 0;
      place >>= 3;
    } else {
      place = packets::get16(packet.data() + 6);
      more = (place & 0x2000) != 0;
      place &= 0x1fff;
    }
    if (fragments_.empty()) {
      fragments_.assign(packet.begin(), packet.begin() + static_cast<long>(header));
      first_header_ = header;
    }
    require(fragments_.size() - first_header_ == size_t{place} * 8, "fragments follow one another");
    fragments_.insert(fragments_.end(), packet.begin() + static_cast<long>(behind), packet.end());
    if (more) return;
    if (is_ipv6(packet)) {
      name_next_header(next);
    } else {
      packets::put16(fragments_.data() + 6, 0);
    }
    set_ip_length(fragments_);
    datagrams.push_back({std::move(fragments_), true, true});
    fragments_.clear();
  }

  // In the header that named the fragment header.
  void name_next_header(uint8_t next) {
    size_t field = 6;
    for (size_t at = kIpv6Header; fragments_[field] != packets::ipv6::kFragment;) {
      field = at;
      at += (size_t{fragments_[at + 1]} + 1) * 8;
      require(at <= first_header_, "a header names the fragment header");
    }
    fragments_[field] = next;
  }

  bool frames_;
  size_t mtu_;
  IpAddress ipv4_;
  IpAddress ipv6_;
  Bytes fragments_;
  size_t first_header_ = 0;
};

}  // namespace taken
