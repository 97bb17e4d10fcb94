#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace mcfleet::netlink {

// One network interface as rtnetlink reports it. Field for field the InterfaceFacts of
// interfaces.ts.
struct InterfaceFacts final {
  int index = 0;
  std::string name;
  std::string mac;
  std::uint32_t mtu = 0;
  std::uint32_t flags = 0;
  std::uint16_t type = 0;
  std::string oper_state = "unknown";
  std::string kind;
  std::vector<std::string> addresses;

  friend bool operator==(const InterfaceFacts&, const InterfaceFacts&) = default;
};

}  // namespace mcfleet::netlink
