#pragma once

#include <linux/if_ether.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <utility>

#include "../packets.h"
#include "packet/parse.h"
#include "packet/vnet_header.h"

// What sockets were given, taken apart as a device and a receiver do it, with a reference of its
// own for checksums.
namespace taken {

using mcfleet::kEthernetHeader;
using mcfleet::kIpv4Header;
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
  uint32_t destination = 0;
};
// The sum over pseudo-header and datagram: 0xffff if the checksum is right.
inline uint16_t residue(const Bytes& packet, size_t ip_header) {
  const uint8_t* udp = packet.data() + ip_header;
  const uint16_t length = packets::get16(udp + 4);
  const uint16_t sum =
      packets::reference_sum(udp, length, packets::reference_pseudo_sum(packet.data(), length));
  return sum == 0 ? uint16_t{0xffff} : sum;
}

// Leaves a packet of the same datagram with `payload` bytes of it from `offset` on.
inline Bytes cut(const Bytes& super, size_t ip_header, size_t offset, size_t payload) {
  const size_t headers = ip_header + kUdpHeader;
  Bytes packet(super.begin(), super.begin() + static_cast<long>(headers));
  const auto from = super.begin() + static_cast<long>(headers + offset);
  packet.insert(packet.end(), from, from + static_cast<long>(payload));
  packets::put16(packet.data() + 2, packet.size());
  packets::put16(packet.data() + ip_header + 4, kUdpHeader + payload);
  packets::set_ip_checksum(packet);
  packets::put16(packet.data() + ip_header + 6, packets::reference_udp_checksum(packet, ip_header));
  return packet;
}

// The datagrams that a message stands for on the wire.
class Taken final {
 public:
  // Frames for groups, or packets for the kernel to route.
  Taken(bool frames, size_t mtu, uint32_t destination)
      : frames_(frames), mtu_(mtu), destination_(destination) {}

  void take(const Sent& sent) {
    if (!frames_) {
      require(sent.destination == destination_, "a raw packet is sent to its destination");
      take_packet(sent.bytes, {});
      return;
    }
    VnetHeader offload;
    constexpr size_t kBefore = sizeof(VnetHeader) + kEthernetHeader;
    require(sent.bytes.size() > kBefore, "a frame has headers");
    std::memcpy(&offload, sent.bytes.data(), sizeof(offload));
    const uint8_t* ethernet = sent.bytes.data() + sizeof(VnetHeader);
    require(packets::get16(ethernet + 12) == ETH_P_IP && ethernet[0] == 1 &&
                packets::get16(ethernet + 4) == (destination_ & 0xffff),
            "a frame is addressed to its group");
    take_packet(Bytes(sent.bytes.begin() + kBefore, sent.bytes.end()), offload);
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
  void take_packet(Bytes packet, const VnetHeader& offload) {
    require(packet.size() >= kIpv4Header && packets::get16(packet.data() + 2) == packet.size(),
            "the IP length is right");
    require(packets::ip_checksum_right(packet.data()), "the IP checksum is right");
    const size_t header = size_t{packet[0] & 15U} * 4;
    const uint16_t place = packets::get16(packet.data() + 6) & 0x3fff;
    if (place != 0 || unfinished()) {
      require(offload.flags == 0 && offload.gso_type == 0, "a fragment is finished");
      take_fragment(packet, header, place);
      return;
    }
    uint8_t* udp = packet.data() + header;
    const uint16_t length = packets::get16(udp + 4);
    if ((offload.flags & kVnetNeedsChecksum) != 0) {
      constexpr size_t kLink = kEthernetHeader;
      require(offload.csum_start == kLink + header && offload.csum_offset == 6,
              "the device is told where the checksum is");
      require(packets::get16(udp + 6) == packets::reference_pseudo_sum(packet.data(), length),
              "an unfinished checksum is that of the pseudo-header");
    }
    if (offload.gso_type == 0) {
      if ((offload.flags & kVnetNeedsChecksum) != 0) {
        packets::put16(udp + 6, packets::reference_udp_checksum(packet, header));
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

  void take_fragment(const Bytes& packet, size_t header, uint16_t place) {
    require(packet.size() <= mtu_, "a fragment fits the MTU");
    const size_t offset = size_t{place & 0x1fffU} * 8;
    if (fragments_.empty()) {
      fragments_.assign(packet.begin(), packet.begin() + static_cast<long>(header));
      first_header_ = header;
    }
    require(fragments_.size() - first_header_ == offset, "fragments follow one another");
    fragments_.insert(fragments_.end(), packet.begin() + static_cast<long>(header), packet.end());
    if ((place & 0x2000) != 0) return;
    packets::put16(fragments_.data() + 2, fragments_.size());
    packets::put16(fragments_.data() + 6, 0);
    packets::set_ip_checksum(fragments_);
    datagrams.push_back({std::move(fragments_), true, true});
    fragments_.clear();
  }

  bool frames_;
  size_t mtu_;
  uint32_t destination_;
  Bytes fragments_;
  size_t first_header_ = 0;
};

}  // namespace taken
