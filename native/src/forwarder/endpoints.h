#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <mutex>

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
// Where that fails the relay works as well: retry() tries again, and state() tells.
//
// One control thread changes it; state() may be called by others.
class Endpoints final {
 public:
  enum class State : uint8_t {
    kHeld,
    // A program of this host listens there, and gets the packets as well. When it ends, the answers
    // begin.
    kInUse,
    // Another reason: the answers go on.
    kRefused,
  };

  // Counted: each hold() needs a release(). False if it cannot be had now.
  bool hold(const Endpoint& endpoint);
  void release(const Endpoint& endpoint);
  // Tries those again that are not held. True if some are not.
  bool retry();
  // Of one that is to be held.
  [[nodiscard]] State state(const Endpoint& endpoint) const;

 private:
  struct Held {
    UniqueFd fd;
    int references = 0;
    // Why there is no socket.
    int error = 0;
    void open(const Endpoint& endpoint);
  };
  mutable std::mutex mutex_;
  std::map<Endpoint, Held> held_;
};

}  // namespace mcfleet
