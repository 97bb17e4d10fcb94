// Super-frames through a UDP socket leave with the fields that they were given, from a port that
// may be taken.
#include "ring/segment_socket.h"

#include <netinet/udp.h>

#include <array>
#include <string>

#include "check.h"
#include "own_namespace.h"
#include "packet/bytes.h"
#include "ring/packet_socket.h"

using namespace mcfleet;

namespace {

constexpr uint16_t kPort = 40'000;
constexpr uint32_t kLocalhost = 0x7f000001;

void takes_no_port_of_others() {
  const LocalPorts ports("32768\t60999", "33000,40000-40002,50000");
  CHECK(ports.holds(32'768));
  CHECK(ports.holds(60'999));
  CHECK(ports.holds(39'999));
  CHECK(ports.holds(40'003));
  for (const int port : {0, 5001, 32'767, 61'000, 33'000, 40'000, 40'001, 40'002, 50'000}) {
    CHECK(!ports.holds(static_cast<uint16_t>(port)));
  }
  CHECK(LocalPorts("32768\t60999", "").holds(33'000));
  CHECK(!LocalPorts("", "").holds(33'000));
  CHECK(!LocalPorts("32768\t60999", "what").holds(33'000));
}

UniqueFd receiver() {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(kLocalhost);
  address.sin_port = htons(5001);
  CHECK(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  for (const int option : {IP_RECVTTL, IP_RECVTOS})
    CHECK(set_option(fd.get(), IPPROTO_IP, option, 1, "receive").ok());
  return fd;
}

// 127.0.0.9:40000 to 127.0.0.1:5001, TTL 7, TOS 0xb8.
std::array<uint8_t, 28> header() {
  std::array<uint8_t, 28> ip{};
  ip[0] = 0x45;
  ip[1] = 0xb8;
  ip[8] = 7;
  store32(ip.data() + 12, 0x7f000009);
  store32(ip.data() + 16, kLocalhost);
  store16(ip.data() + 20, kPort);
  store16(ip.data() + 22, 5001);
  return ip;
}

void expect_datagram(int fd, const std::string& text) {
  std::array<char, 100> bytes{};
  iovec piece{bytes.data(), bytes.size()};
  sockaddr_in from{};
  alignas(cmsghdr) std::array<uint8_t, 128> control{};
  msghdr message{};
  message.msg_name = &from;
  message.msg_namelen = sizeof(from);
  message.msg_iov = &piece;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t size = recvmsg(fd, &message, MSG_DONTWAIT);
  CHECK(size >= 0 && std::string(bytes.data(), static_cast<size_t>(size)) == text);
  CHECK_EQ(ntohl(from.sin_addr.s_addr), 0x7f000009U);
  CHECK_EQ(ntohs(from.sin_port), kPort);
  int seen = 0;
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(&message, part)) {
    if (part->cmsg_type == IP_TTL) {
      int ttl = 0;
      std::memcpy(&ttl, CMSG_DATA(part), sizeof(ttl));
      CHECK_EQ(ttl, 7);
      seen++;
    } else if (part->cmsg_type == IP_TOS) {
      CHECK_EQ(int{*CMSG_DATA(part)}, 0xb8);
      seen++;
    }
  }
  CHECK_EQ(seen, 2);
}

void sends_what_it_is_told() {
  Result<TrackedSocket> opened = open_segment_socket(kLoopback, AF_INET, kPort);
  CHECK(opened.ok());
  const TrackedSocket& socket = opened.value();
  CHECK_EQ(socket.port, kPort);
  const UniqueFd to = receiver();
  const auto ip = header();
  SegmentMessage message(ip.data(), 4);
  CHECK_EQ(int{message.type_of_service()}, 0xb8);
  CHECK(set_type_of_service(socket.fd.get(), message.type_of_service()));
  std::string payload = "oneeTwooThr";
  const std::array pieces{iovec{payload.data(), 6}, iovec{payload.data() + 6, 5}};
  OutputCounters counters;
  TrackedSender sender;
  sender.use(&socket, false);
  CHECK(!sender.send(message.with(pieces), {&counters, 3, 95, true}));
  for (const char* text : {"onee", "Twoo", "Thr"}) expect_datagram(to.get(), text);
  sender.settle();
  CHECK(sender.settled());
  CHECK_EQ(counters.packets.get(), 3U);
  // Others of ours share the port; a program that shares it with nobody keeps us from it.
  CHECK(open_segment_socket(kLoopback, AF_INET, kPort).ok());
  const UniqueFd program(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(kPort + 1);
  CHECK(bind(program.get(), reinterpret_cast<const sockaddr*>(&any), sizeof(any)) == 0);
  const auto refused = open_segment_socket(kLoopback, AF_INET, kPort + 1);
  CHECK(!refused.ok() && refused.error().code == EADDRINUSE);
}

}  // namespace

int main() {
  takes_no_port_of_others();
  if (!enter_own_namespace()) return kSkipped;
  sends_what_it_is_told();
  return 0;
}
