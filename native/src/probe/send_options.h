#pragma once

#include <cstdint>
#include <optional>

#include "packet/ip_address.h"

namespace mcfleet::probe {

// UDP_MAX_SEGMENTS of Linux 4.18 to 6.8; later it is 128.
constexpr std::uint32_t kMaxSegments = 64;

// What a sender sends. Both addresses are of one family. The ranges are checked by the caller
// (probe.ts).
struct SendOptions final {
  int ifindex = 0;
  IpAddress destination{};
  std::uint16_t port = 0;
  std::optional<IpAddress> source;  // none: the kernel's choice
  std::optional<std::uint16_t>
      source_port;  // of flow 0, flow n adds n; none: the kernel's choice, or 40000 in raw mode
  std::uint64_t millipackets_per_second = 0;  // 1 to 10^11
  std::optional<std::uint64_t> count;         // none: until stopped
  std::uint32_t size = 0;                     // UDP payload, kHeaderBytes to kMaxPayloadBytes
  std::uint8_t ttl = 0;
  std::uint32_t flows = 1;  // 1 to 1024
  // Packets per send, which the kernel or the device cuts apart (UDP_SEGMENT); 1: none of that.
  // At most kMaxSegments, and all together at most kMaxPayloadBytes. Not with `raw`.
  std::uint32_t segments = 1;
  bool raw = false;  // IPv4 only
  bool digest = false;
  // Patterns are written once and sent again and again; headers are each packet's own. For those
  // who count packets and do not look into them.
  bool fill_once = false;
  std::uint64_t run = 0;
};

}  // namespace mcfleet::probe
