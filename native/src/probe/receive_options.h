#pragma once

#include <cstdint>
#include <optional>

#include "packet/ip_address.h"

namespace mcfleet::probe {

// What a receiver takes and when it ends. Times in nanoseconds. Checked
// by the caller (probe.ts).
struct ReceiveOptions final {
  int ifindex = 0;
  IpAddress group{};  // or a local unicast address
  std::uint16_t port = 0;
  bool raw = false;  // IPv4 only
  bool digest = false;
  // From a UDP socket: super-frames are taken whole, with the kernel's word on where their
  // datagrams end (UDP_GRO), in place of one by one.
  bool whole = false;
  std::optional<std::uint64_t> count;     // ends `settle` after so many first copies
  std::optional<std::uint64_t> duration;  // ends after this, whatever came
  std::optional<std::uint64_t> timeout;   // ends if no packet at all came for so long
  std::optional<std::uint64_t> idle;      // ends if after the first packet none came for so long
  std::uint64_t settle = 0;               // how long to wait for late duplicates
};

}  // namespace mcfleet::probe
