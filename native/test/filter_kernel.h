#pragma once

// The kernel itself runs the compiled filters: over a pair of Unix sockets.

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include "base/unique_fd.h"
#include "check.h"
#include "packets.h"
#include "ring/filter.h"
#include "ring/packet_socket.h"

// Says what the kernel does with a packet.
class Kernel final {
 public:
  Kernel() {
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, pair) == 0);
    in_.reset(pair[0]);
    out_.reset(pair[1]);
  }
  // `protocol`: the Ethernet type of packets; `tag`: what they are tagged with, none if null;
  // `station`: to whom they are addressed (PACKET_HOST, PACKET_OTHERHOST, ...).
  void load(mcfleet::Filter filter, const uint16_t* tag = nullptr, uint32_t protocol = ETH_P_IP,
            uint32_t station = PACKET_HOST) {
    // Packets of a Unix socket have neither a protocol number, a tag, nor a station: put constants
    // in place of the loads.
    if (filter.code.size() > 1) {
      CHECK(filter.code[0].k == static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_PROTOCOL));
      filter.code[0] = BPF_STMT(BPF_LD | BPF_IMM, protocol);
    }
    for (sock_filter& instruction : filter.code) {
      if (instruction.k == static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_VLAN_TAG_PRESENT)) {
        instruction = BPF_STMT(BPF_LD | BPF_IMM, tag != nullptr ? 1U : 0U);
      } else if (instruction.k == static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_VLAN_TAG)) {
        instruction = BPF_STMT(BPF_LD | BPF_IMM, tag != nullptr ? uint32_t{*tag} : 0U);
      } else if (instruction.k == static_cast<uint32_t>(SKF_AD_OFF + SKF_AD_PKTTYPE)) {
        instruction = BPF_STMT(BPF_LD | BPF_IMM, station);
      }
    }
    // Old and new filter are charged together: a small one makes room.
    CHECK(mcfleet::attach_filter(out_.get(), mcfleet::drop_all_filter()).ok());
    CHECK(mcfleet::attach_filter(out_.get(), filter).ok());
  }
  bool passes(const packets::Bytes& packet) {
    // A filtered packet is dropped in silence; an unfiltered one is there at once.
    static_cast<void>(send(in_.get(), packet.data(), packet.size(), 0));
    uint8_t buffer[4096];
    return recv(out_.get(), buffer, sizeof(buffer), MSG_DONTWAIT) >= 0;
  }

 private:
  mcfleet::UniqueFd in_;
  mcfleet::UniqueFd out_;
};
