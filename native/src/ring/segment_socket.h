#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "ring/tracked_sender.h"

namespace mcfleet {

// The ports that the kernel gives to sockets that ask for none (net.ipv4.ip_local_port_range).
// Whoever asks for one of these by number must expect that another program has it.
class LocalPorts final {
 public:
  // Of this network namespace; none if that cannot be read.
  static LocalPorts read();
  // Of the texts of net.ipv4.ip_local_port_range and net.ipv4.ip_local_reserved_ports. None if the
  // first is malformed.
  LocalPorts(const char* range, const char* reserved);

  // Whether it is one of them, and none of those that are reserved for programs.
  [[nodiscard]] bool holds(uint16_t port) const;

 private:
  int first_ = 1;
  int last_ = 0;
  const std::string reserved_;
};

// A UDP socket that sends super-frames (UDP_SEGMENT) from one port and any address out of one
// interface, never fragments, and tells what became of them. It takes no packets and hears of no
// ICMP errors: it is bound to an address that nothing is sent to, as well as to the port. Programs
// that want the port at all addresses, and do not share it (SO_REUSEADDR), are refused meanwhile.
//
// EADDRINUSE: such a program has it. Needs CAP_NET_RAW.
Result<TrackedSocket> open_segment_socket(int ifindex, int family, uint16_t port);

// A message for such a socket that leaves with the fields of a rewritten header. Not copied: it
// points to itself.
class SegmentMessage final {
 public:
  // UDP_MAX_SEGMENTS before Linux 6.9.
  static constexpr size_t kMostSegments = 64;

  // `ip`: a header without options or extension headers, and that of UDP behind it.
  SegmentMessage(const uint8_t* ip, uint16_t segment_size);
  SegmentMessage(const SegmentMessage&) = delete;
  SegmentMessage& operator=(const SegmentMessage&) = delete;

  // With this payload. They must stay until it is sent.
  const msghdr& with(std::span<const iovec> payload);
  // Of IPv4, which has no other way to leave the priority of packets as it is: TOS, to be set with
  // set_type_of_service().
  [[nodiscard]] uint8_t type_of_service() const { return type_of_service_; }

 private:
  union {
    sockaddr_in ipv4_;
    sockaddr_in6 ipv6_;
  };
  alignas(cmsghdr) uint8_t control_[CMSG_SPACE(sizeof(in6_pktinfo)) + 2 * CMSG_SPACE(sizeof(int)) +
                                    CMSG_SPACE(sizeof(uint16_t))];
  uint8_t type_of_service_ = 0;
  msghdr header_{};
};

// Sets the TOS of an IPv4 socket and leaves its priority at 0, that of raw sockets. False with
// errno set if it fails.
bool set_type_of_service(int fd, uint8_t type_of_service);

}  // namespace mcfleet
