#include "mroute/route_text.h"

#include <arpa/inet.h>

#include <array>

namespace mcfleet::mroute {

std::string address_text(Family family, const IpAddress& address) {
  std::array<char, INET6_ADDRSTRLEN> text{};
  if (family == Family::ipv4) {
    const in_addr bytes{htonl(address.ipv4())};
    return ::inet_ntop(AF_INET, &bytes, text.data(), text.size());
  }
  in6_addr bytes{};
  address.write_ipv6(bytes.s6_addr);
  return ::inet_ntop(AF_INET6, &bytes, text.data(), text.size());
}

std::string route_text(Family family, const IpAddress& source, const IpAddress& group) {
  const auto part = [&](const IpAddress& address) {
    return address.none() ? std::string("*") : address_text(family, address);
  };
  return "(" + part(source) + ", " + part(group) + ")";
}

}  // namespace mcfleet::mroute
