#pragma once

#include <linux/bpf.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "ingress/claim.h"

namespace mcfleet {

// A claim as the program looks it up.
struct ClaimKey {
  // 16 bytes of an IPv6 address, or an IPv4 address in the last 4; as on the wire.
  std::array<uint8_t, 16> address{};
  // As on the wire; 0: any.
  std::array<uint8_t, 2> port{};
  // 4 or 6, in host order.
  uint16_t family = 0;

  static ClaimKey of(const Claim& claim);
};
static_assert(sizeof(ClaimKey) == 20 && offsetof(ClaimKey, port) == 16 &&
              offsetof(ClaimKey, family) == 18);

// The program that decides what the host does not get: UDP packets that this interface took in for
// this host, untagged, whole, without IPv4 options and IPv6 extension headers, whose destination is
// a key of the map. Everything else goes on to the next program (TCX_NEXT), and to the host.
//
// `claims`: descriptor of a map with keys of ClaimKey. `link_header`: bytes before the IP header.
std::vector<bpf_insn> claim_program(int claims, size_t link_header);

}  // namespace mcfleet
