#pragma once

#include <cstdint>
#include <memory>

#include "base/result.h"
#include "probe/account.h"
#include "probe/receive_options.h"

namespace mcfleet::probe {

// Where a receiver's packets come from.
class PacketSource {
 public:
  virtual ~PacketSource() = default;
  // Readable when there is something to receive.
  [[nodiscard]] virtual int descriptor() const = 0;
  // Gives what has arrived, up to some hundreds of packets, to the account; never waits. False if
  // there was nothing.
  [[nodiscard]] virtual Result<bool> receive(Account& account) = 0;
  // Packets dropped so far because this receiver was too slow. For one thread only.
  [[nodiscard]] virtual Result<std::uint64_t> drops() = 0;
};

// A UDP socket, as a receiver in the field has it.
[[nodiscard]] Result<std::unique_ptr<PacketSource>> open_udp_source(const ReceiveOptions& options);

// A packet ring at the interface: sees what arrives there, whatever routing, firewall and sockets
// do with it. Needs CAP_NET_RAW. Does not see IP fragments.
[[nodiscard]] Result<std::unique_ptr<PacketSource>> open_ring_source(const ReceiveOptions& options);

// Joins the group on the interface for the life of the socket, so that switches forward it. Nothing
// to do for a unicast address.
[[nodiscard]] Status join_group(int socket, const ReceiveOptions& options);

}  // namespace mcfleet::probe
