#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

#include "base/result.h"

namespace mcfleet {

// What forwarding needs to know of one interface (RTM_GETLINK).
struct LinkFacts {
  // IFF_* bits, linux/if.h.
  uint32_t flags = 0;
  // ARPHRD_*, linux/if_arp.h.
  uint16_t type = 0;
  uint32_t mtu = 0;
  std::array<uint8_t, 6> mac{};
  // Whether packets may wait in a queue, its own or that of a device below: not where it is a
  // device by itself, or a veth, and has none (noqueue).
  bool has_queue = true;
};

// Whether an interface can carry packets now, and if not, why. kNoNeighbour only of a way to one
// address: nobody answers there.
enum class LinkState : uint8_t {
  kUp,
  kDown,
  kNoCarrier,
  kMissing,
  kUnsupported,
  kNoSocket,
  kNoNeighbour
};

// Stable CamelCase code; empty if up.
constexpr const char* link_state_reason(LinkState state) {
  switch (state) {
    case LinkState::kUp:
      return "";
    case LinkState::kDown:
      return "InterfaceDown";
    case LinkState::kNoCarrier:
      return "NoCarrier";
    case LinkState::kMissing:
      return "InterfaceNotFound";
    case LinkState::kUnsupported:
      return "InterfaceTypeNotSupported";
    case LinkState::kNoSocket:
      return "SocketFailed";
    case LinkState::kNoNeighbour:
      return "NoNeighbour";
  }
  return "";
}

LinkState link_state(const LinkFacts& facts);

// Bytes of the link-layer header: 14 for Ethernet and loopback, 0 for devices that carry bare IP
// packets (tun, WireGuard). -1: a kind of interface that is not supported.
int link_header_length(const LinkFacts& facts);

// Asks the kernel. ENODEV: there is no such interface.
Result<LinkFacts> read_link(int ifindex);

}  // namespace mcfleet
