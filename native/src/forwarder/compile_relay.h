#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "base/result.h"
#include "forwarder/egress_port.h"
#include "forwarder/endpoints.h"
#include "forwarder/memberships.h"
#include "forwarder/relay_program.h"
#include "packet/ip_address.h"
#include "packet/rewrite.h"

namespace mcfleet {

struct CompiledOutput {
  std::string key;
  int ifindex = 0;
  EgressPort::Kind kind = EgressPort::Kind::kFrames;
  IpAddress destination;
  // Points to `ipv6`, if that is set.
  Rewrite rewrite;
  std::shared_ptr<const Ipv6Addresses> ipv6;
  bool drop_oversize = false;
};

// A relay with its addresses read.
struct CompiledRelay {
  int input_ifindex = 0;
  IpAddress group;
  // 0: any.
  uint16_t port = 0;
  // 0: untagged.
  uint16_t vlan = 0;
  // Sorted; of the group's family, as everything else.
  std::vector<IpAddress> sources;
  std::vector<IpAddress> excluded_sources;
  std::vector<CompiledOutput> outputs;

  // What must be joined to receive it; nothing if the input is a unicast address.
  [[nodiscard]] std::vector<Membership> memberships() const;
  // Whether it has an input now that is an address of this host.
  [[nodiscard]] bool takes_unicast() const;
  // Where its packets come to, if that is one port of a unicast address.
  [[nodiscard]] std::optional<Endpoint> endpoint() const;
};

// Reads and checks one relay.
std::variant<CompiledRelay, RelayRefusal> compile_relay(const RelayProgram& program);

// The refusal for a failed system call.
RelayRefusal refuse(const std::string& uid, const Error& error);

}  // namespace mcfleet
