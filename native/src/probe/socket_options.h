#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "packet/ip_address.h"

namespace mcfleet::probe {

template <typename T>
[[nodiscard]] Status set_option(int socket, int level, int option, const T& value,
                                const char* name) {
  if (::setsockopt(socket, level, option, &value, sizeof(value)) < 0) {
    return Error::from_errno(std::string("set ") + name);
  }
  return {};
}

// Address and port of either family, as the kernel takes them.
struct Endpoint final {
  sockaddr_storage storage{};
  socklen_t length = sizeof(sockaddr_storage);

  [[nodiscard]] const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
  [[nodiscard]] sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

// The interface matters for link-local addresses only.
[[nodiscard]] inline Endpoint ip_endpoint(const IpAddress& address, std::uint16_t port,
                                          int ifindex) {
  Endpoint endpoint;
  if (address.is_ipv4()) {
    sockaddr_in ipv4{};
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(port);
    ipv4.sin_addr.s_addr = htonl(address.ipv4());
    std::memcpy(&endpoint.storage, &ipv4, sizeof(ipv4));
    endpoint.length = sizeof(ipv4);
  } else {
    sockaddr_in6 ipv6{};
    ipv6.sin6_family = AF_INET6;
    ipv6.sin6_port = htons(port);
    address.write_ipv6(ipv6.sin6_addr.s6_addr);
    ipv6.sin6_scope_id = static_cast<std::uint32_t>(ifindex);
    std::memcpy(&endpoint.storage, &ipv6, sizeof(ipv6));
    endpoint.length = sizeof(ipv6);
  }
  return endpoint;
}

// 0.0.0.0 or "::".
[[nodiscard]] inline Endpoint any_endpoint(bool ipv4, std::uint16_t port) {
  Endpoint endpoint = ip_endpoint(IpAddress{}, port, 0);
  if (!ipv4) return endpoint;
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(port);
  std::memcpy(&endpoint.storage, &any, sizeof(any));
  endpoint.length = sizeof(any);
  return endpoint;
}

// None for "any": 0.0.0.0 and "::".
[[nodiscard]] inline IpAddress address_of(const sockaddr_storage& storage) {
  if (storage.ss_family == AF_INET) {
    sockaddr_in ipv4;
    std::memcpy(&ipv4, &storage, sizeof(ipv4));
    return IpAddress(ntohl(ipv4.sin_addr.s_addr));
  }
  sockaddr_in6 ipv6;
  std::memcpy(&ipv6, &storage, sizeof(ipv6));
  return IpAddress::ipv6(ipv6.sin6_addr.s6_addr);
}

[[nodiscard]] inline std::uint16_t port_of(const sockaddr_storage& storage) {
  // At the same place in both families.
  static_assert(offsetof(sockaddr_in, sin_port) == offsetof(sockaddr_in6, sin6_port));
  sockaddr_in ipv4;
  std::memcpy(&ipv4, &storage, sizeof(ipv4));
  return ntohs(ipv4.sin_port);
}

[[nodiscard]] inline std::string text(const IpAddress& address) {
  char buffer[INET6_ADDRSTRLEN] = "";
  if (address.is_ipv4()) {
    const in_addr ipv4{htonl(address.ipv4())};
    (void)::inet_ntop(AF_INET, &ipv4, buffer, sizeof(buffer));
  } else {
    in6_addr ipv6{};
    address.write_ipv6(ipv6.s6_addr);
    (void)::inet_ntop(AF_INET6, &ipv6, buffer, sizeof(buffer));
  }
  return buffer;
}

// A UDP socket for addresses of this one's family, and only of that.
[[nodiscard]] inline Result<UniqueFd> open_udp_socket(const IpAddress& address) {
  const bool ipv4 = address.is_ipv4();
  UniqueFd socket(::socket(ipv4 ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return Error::from_errno("open a UDP socket");
  if (ipv4) return socket;
  if (Status set = set_option(socket.get(), IPPROTO_IPV6, IPV6_V6ONLY, 1, "IPV6_V6ONLY"); !set) {
    return set.error();
  }
  return socket;
}

}  // namespace mcfleet::probe
