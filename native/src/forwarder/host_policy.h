#pragma once

#include <cstdint>

namespace mcfleet {

// Whether the host does something of its own with the packets that it sends, which frames through a
// packet socket would pass by.
enum class HostPolicy : uint8_t {
  kNone,
  // Tables of nftables or iptables, and nothing else: all that goes through the kernel meets them,
  // whatever socket it comes from.
  kFilters,
  // IPsec policies or routing rules, and perhaps tables as well.
  kPresent,
  // The kernel does not tell: that needs CAP_NET_ADMIN.
  kUnknown,
};

// Of both families.
struct HostPolicies {
  HostPolicy ipv4 = HostPolicy::kUnknown;
  HostPolicy ipv6 = HostPolicy::kUnknown;

  bool operator==(const HostPolicies&) const = default;
};

// Asks the kernel, for this network namespace.
HostPolicies read_host_policies();

}  // namespace mcfleet
