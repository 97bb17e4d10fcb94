#pragma once

// Pairs of virtual Ethernet interfaces in the test's own namespace: the router's side, and its
// far end, at which frames are put in and counted.

#include <linux/if.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cstdio>
#include <fstream>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "check.h"
#include "packets.h"

// Runs ip(8) with these lines.
inline void ip_batch(const std::string& lines) {
  FILE* ip = popen("ip -batch -", "w");
  CHECK(ip != nullptr);
  CHECK_EQ(fwrite(lines.data(), 1, lines.size(), ip), lines.size());
  CHECK(pclose(ip) == 0);
}

inline void set_sysctl(const std::string& name, const std::string& value) {
  std::ofstream file("/proc/sys/net/" + name);
  file << value << std::flush;
  CHECK(file.good());
}

inline int index_of(const std::string& name) {
  const mcfleet::UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ifreq request{};
  CHECK(name.size() < IFNAMSIZ);
  name.copy(request.ifr_name, IFNAMSIZ - 1);
  CHECK(ioctl(fd.get(), SIOCGIFINDEX, &request) == 0);
  return request.ifr_ifindex;
}

// Sends and counts at one interface.
class Tap final {
 public:
  explicit Tap(const std::string& name)
      : fd_(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL))) {
    CHECK(fd_.valid());
    sockaddr_ll address{};
    address.sll_family = AF_PACKET;
    address.sll_protocol = htons(ETH_P_ALL);
    address.sll_ifindex = index_of(name);
    CHECK(bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0);
    const int buffer = 64 << 20;
    CHECK(setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer, sizeof(buffer)) == 0);
  }
  void send(const packets::Bytes& frame) {
    CHECK_EQ(::send(fd_.get(), frame.data(), frame.size(), 0), frame.size());
  }
  // The next frame that arrived; empty if none is there.
  packets::Bytes receive() {
    packets::Bytes frame(2048);
    sockaddr_ll from{};
    for (;;) {
      socklen_t size = sizeof(from);
      const ssize_t length = recvfrom(fd_.get(), frame.data(), frame.size(), MSG_DONTWAIT,
                                      reinterpret_cast<sockaddr*>(&from), &size);
      if (length < 0) return {};
      if (from.sll_pkttype == PACKET_OUTGOING) continue;
      frame.resize(static_cast<size_t>(length));
      return frame;
    }
  }
  [[nodiscard]] int descriptor() const { return fd_.get(); }

 private:
  mcfleet::UniqueFd fd_;
};

// A pair for each name "X": "X" with the router's side, "X-far" at the other end. Both up, without
// addresses of IPv4; nothing filters by source.
inline void add_links(const std::vector<std::string>& names) {
  std::string lines;
  for (const std::string& name : names) {
    lines += "link add name " + name + " type veth peer name " + name + "-far\n";
    lines += "link set dev " + name + " up\nlink set dev " + name + "-far up\n";
  }
  ip_batch(lines);
  for (const std::string& name : names) {
    set_sysctl("ipv4/conf/" + name + "/rp_filter", "0");
    // The kernel routes IPv6 multicast from every interface, also the far ends.
    set_sysctl("ipv6/conf/" + name + "-far/disable_ipv6", "1");
  }
}

// A frame of this IPv4 or IPv6 packet, to the Ethernet address of its group.
inline packets::Bytes multicast_frame(const packets::Bytes& packet) {
  const bool ipv4 = packet[0] >> 4 == 4;
  packets::Bytes frame = packets::frame(packet, ipv4 ? ETH_P_IP : ETH_P_IPV6);
  const packets::Bytes to =
      ipv4 ? packets::Bytes{1,          0,         0x5e, static_cast<uint8_t>(packet[17] & 0x7f),
                            packet[18], packet[19]}
           : packets::Bytes{0x33, 0x33, packet[36], packet[37], packet[38], packet[39]};
  std::copy(to.begin(), to.end(), frame.begin());
  frame[6] = 2;
  return frame;
}

// The port that a frame's UDP datagram goes to, of IPv4 or IPv6 without options; 0 if it has none.
inline uint16_t datagram_port(const packets::Bytes& frame) {
  const bool ipv4 = packets::get16(frame.data() + 12) == ETH_P_IP;
  const size_t udp = ipv4 ? 34 : 54;
  const size_t protocol = ipv4 ? 23 : 20;
  if (frame.size() < udp + 8 || frame[protocol] != IPPROTO_UDP) return 0;
  return packets::get16(frame.data() + udp + 2);
}
