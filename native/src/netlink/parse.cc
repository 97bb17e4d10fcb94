#include "netlink/parse.h"

#include <arpa/inet.h>
#include <linux/if.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>

#include <array>

namespace mcfleet::netlink {

static_assert(sizeof(ifinfomsg) == 16 && offsetof(ifinfomsg, ifi_index) == 4 &&
              offsetof(ifinfomsg, ifi_flags) == 8);
static_assert(sizeof(ifaddrmsg) == 8 && offsetof(ifaddrmsg, ifa_index) == 4);

namespace {

std::string mac_text(Bytes value) {
  constexpr char digits[] = "0123456789abcdef";
  std::string result;
  for (const std::uint8_t byte : value) {
    if (!result.empty()) result += ':';
    result += digits[byte >> 4];
    result += digits[byte & 15];
  }
  return result;
}

// IFLA_OPERSTATE in the words of RFC 2863, as `ip link` prints them, in lower case.
std::string oper_state_text(std::uint8_t state) {
  switch (state) {
    case IF_OPER_NOTPRESENT:
      return "notpresent";
    case IF_OPER_DOWN:
      return "down";
    case IF_OPER_LOWERLAYERDOWN:
      return "lowerlayerdown";
    case IF_OPER_TESTING:
      return "testing";
    case IF_OPER_DORMANT:
      return "dormant";
    case IF_OPER_UP:
      return "up";
    default:
      return "unknown";
  }
}

}  // namespace

std::optional<InterfaceFacts> parse_link(Bytes payload) {
  const auto header = read_struct<ifinfomsg>(payload);
  if (!header) return std::nullopt;
  InterfaceFacts facts;
  facts.index = header->ifi_index;
  facts.flags = header->ifi_flags;
  facts.type = header->ifi_type;
  bool whole = true;
  whole &= for_each_attribute(after(payload, sizeof(ifinfomsg)), [&](const Attribute& attribute) {
    switch (attribute.type) {
      case IFLA_IFNAME:
        facts.name = text(attribute.value);
        break;
      case IFLA_ADDRESS:
        facts.mac = mac_text(attribute.value);
        break;
      case IFLA_MTU:
        if (const auto mtu = read_struct<std::uint32_t>(attribute.value)) facts.mtu = *mtu;
        break;
      case IFLA_OPERSTATE:
        if (!attribute.value.empty()) facts.oper_state = oper_state_text(attribute.value[0]);
        break;
      case IFLA_LINKINFO:
        whole &= for_each_attribute(attribute.value, [&](const Attribute& info) {
          if (info.type == IFLA_INFO_KIND) facts.kind = text(info.value);
        });
        break;
      default:
        break;
    }
  });
  if (!whole || facts.index <= 0 || facts.name.empty()) return std::nullopt;
  return facts;
}

std::optional<InterfaceAddress> parse_address(Bytes payload) {
  const auto header = read_struct<ifaddrmsg>(payload);
  if (!header) return std::nullopt;
  const std::size_t length = header->ifa_family == AF_INET    ? 4
                             : header->ifa_family == AF_INET6 ? 16
                                                              : 0;
  if (length == 0) return std::nullopt;
  // On a point-to-point link IFA_ADDRESS is the peer's and IFA_LOCAL ours; elsewhere IPv6 sends
  // IFA_ADDRESS only.
  Bytes local;
  Bytes address;
  const bool whole =
      for_each_attribute(after(payload, sizeof(ifaddrmsg)), [&](const Attribute& attribute) {
        if (attribute.type == IFA_LOCAL) local = attribute.value;
        if (attribute.type == IFA_ADDRESS) address = attribute.value;
      });
  const Bytes chosen = local.empty() ? address : local;
  if (!whole || chosen.size() != length) return std::nullopt;
  std::array<char, INET6_ADDRSTRLEN> buffer{};
  if (::inet_ntop(header->ifa_family, chosen.data(), buffer.data(), buffer.size()) == nullptr) {
    return std::nullopt;
  }
  return InterfaceAddress{static_cast<int>(header->ifa_index),
                          std::string(buffer.data()) + "/" + std::to_string(header->ifa_prefixlen)};
}

}  // namespace mcfleet::netlink
