#pragma once

#include <sys/socket.h>

#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "netlink/interface_facts.h"
#include "probe/frame.h"
#include "probe/send_options.h"

namespace mcfleet::probe {

// The sockets of a sender and what they want of a packet. Three kinds:
//   udp     one connected UDP socket per flow; the kernel makes the headers. Needs no privilege.
//   packet  AF_PACKET with headers of our own from Ethernet up, past routing and netfilter; for
//   groups. ip      IPPROTO_RAW with headers of our own from IP up; for unicast, where the kernel
//   knows the neighbour's address.
class Transmitter final {
 public:
  enum class Kind { udp, packet, ip };

  [[nodiscard]] static Result<Transmitter> open(const SendOptions& options);

  [[nodiscard]] Kind kind() const { return kind_; }
  // Flow n is sent by socket n modulo this.
  [[nodiscard]] std::size_t sockets() const { return sockets_.size(); }
  [[nodiscard]] int socket(std::size_t index) const { return sockets_[index].get(); }

  // Where the datagram of a frame (all headers, payload at kFrameHeaderBytes) begins for this kind
  // of socket.
  [[nodiscard]] std::size_t first_byte() const;
  // Headers of a flow, for kinds that have their own.
  [[nodiscard]] FrameAddresses addresses(std::uint32_t flow) const;

 private:
  [[nodiscard]] Status open_udp(const SendOptions& options);
  [[nodiscard]] Status open_raw(const SendOptions& options, const netlink::InterfaceFacts& facts);
  [[nodiscard]] Status open_packet_socket(const SendOptions& options);
  [[nodiscard]] Status open_ip_socket(const SendOptions& options);

  Kind kind_ = Kind::udp;
  std::vector<UniqueFd> sockets_;
  FrameAddresses addresses_;
};

}  // namespace mcfleet::probe
