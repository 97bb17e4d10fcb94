#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "packet/ip_address.h"

namespace mcfleet {

// One destination that some relay of an input wants.
struct FilterTarget {
  IpAddress address;
  // 0: any.
  uint16_t port = 0;
  // 0: untagged, or tagged with a priority alone.
  uint16_t vlan = 0;

  bool operator==(const FilterTarget&) const = default;
  auto operator<=>(const FilterTarget&) const = default;
};

// How the kernel selects packets.
enum class KernelFilter : uint8_t {
  // Only what relays want.
  kExact,
  // All multicast UDP, and UDP to the unicast addresses that relays want.
  kCoarse,
  // Everything, since it takes no filter (net.core.optmem_max): the rules select alone.
  kNone,
};

struct Filter {
  // Empty: no filter, every packet passes.
  std::vector<sock_filter> code;
  // True: only what the targets name. False: all multicast UDP, and UDP to the unicast targets or
  // to any address.
  bool exact = false;

  bool operator==(const Filter& other) const;
  [[nodiscard]] KernelFilter kind() const {
    if (code.empty()) return KernelFilter::kNone;
    return exact ? KernelFilter::kExact : KernelFilter::kCoarse;
  }
};

// What classic BPF allows (BPF_MAXINSNS).
inline constexpr size_t kMaxFilterCode = 4096;

// Writes the kernel filter of one input ring: UDP over IP to one of the targets, not addressed to
// another station. What is malformed and could be ours passes, so that it is counted and not lost
// in silence; so do fragments, and IPv6 packets with extension headers. Exact while that fits
// `max_code`.
Filter compile_filter(const std::vector<FilterTarget>& targets, size_t link_header,
                      size_t max_code = kMaxFilterCode);

// The coarse filter, whatever would fit.
Filter compile_coarse_filter(const std::vector<FilterTarget>& targets, size_t link_header);

// Passes nothing.
Filter drop_all_filter();

}  // namespace mcfleet
