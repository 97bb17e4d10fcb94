#pragma once

#include <compare>
#include <cstdint>
#include <map>

#include "base/unique_fd.h"
#include "packet/ip_address.h"

namespace mcfleet {

// A unicast address and port of this host from which a relay takes packets.
struct Endpoint {
  int ifindex;
  IpAddress address;
  uint16_t port;
  auto operator<=>(const Endpoint&) const = default;
};

// Keeps the kernel from refusing packets that relays take. Where no socket listens it answers
// "port unreachable", and a sender with a connected socket loses a packet for each such answer
// (ECONNREFUSED). So a socket is bound there that drops everything.
//
// Where that fails there is nothing to do: either a program of this host listens there, or the
// answers go on and the relay works as well as without.
class Endpoints final {
 public:
  // Counted: each hold() needs a release().
  void hold(const Endpoint& endpoint);
  void release(const Endpoint& endpoint);

 private:
  struct Held {
    UniqueFd fd;
    int references = 0;
  };
  std::map<Endpoint, Held> held_;
};

}  // namespace mcfleet
