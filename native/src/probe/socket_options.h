#pragma once

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "base/result.h"

namespace mcfleet::probe {

template <typename T>
[[nodiscard]] Status set_option(int socket, int level, int option, const T& value,
                                const char* name) {
  if (::setsockopt(socket, level, option, &value, sizeof(value)) < 0) {
    return Error::from_errno(std::string("set ") + name);
  }
  return {};
}

// Address and port in host byte order.
[[nodiscard]] inline sockaddr_in ip_endpoint(std::uint32_t address, std::uint16_t port) {
  sockaddr_in endpoint{};
  endpoint.sin_family = AF_INET;
  endpoint.sin_port = htons(port);
  endpoint.sin_addr.s_addr = htonl(address);
  return endpoint;
}

[[nodiscard]] inline std::string text(std::uint32_t address) {
  const in_addr value{htonl(address)};
  char buffer[INET_ADDRSTRLEN] = "";
  (void)::inet_ntop(AF_INET, &value, buffer, sizeof(buffer));
  return buffer;
}

[[nodiscard]] inline bool is_multicast(std::uint32_t address) {
  return address >> 28 == 14;
}

}  // namespace mcfleet::probe
