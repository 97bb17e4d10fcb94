#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "base/result.h"
#include "netlink/attributes.h"

namespace mcfleet::netlink {

// One netlink request, made piece by piece.
class Request final {
 public:
  // `flags` beside NLM_F_REQUEST: NLM_F_DUMP for all objects, otherwise one is asked for.
  Request(std::uint16_t type, std::uint16_t flags);

  template <typename Body>
  Request& body(const Body& value) {
    return append(&value, sizeof(value));
  }
  template <typename Value>
  Request& attribute(std::uint16_t type, const Value& value) {
    const rtattr header{static_cast<std::uint16_t>(sizeof(rtattr) + sizeof(value)), type};
    append(&header, sizeof(header));
    return append(&value, sizeof(value));
  }

  // Asks the subsystem `protocol` (NETLINK_*), gives each answer to `take`, and returns when all
  // have come. Waits for the kernel (microseconds). EPERM: it wants a capability for that; ENOENT:
  // there is no such object; EPROTONOSUPPORT: there is no such subsystem.
  Status ask(int protocol, const std::function<void(const Message&)>& take);

 private:
  Request& append(const void* data, std::size_t size);

  std::vector<std::uint8_t> bytes_;
};

}  // namespace mcfleet::netlink
