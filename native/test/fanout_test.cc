// Which socket of a group gets which frame, on the loopback interface of a namespace of its own.
#include "ring/fanout.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

#include <array>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>
#include <vector>

#include "base/unique_fd.h"
#include "check.h"
#include "eventually.h"
#include "own_namespace.h"

using namespace mcfleet;

namespace {

constexpr size_t kLongest = 4000;
// So that a datagram of 8000 bytes goes in fragments.
constexpr int kMtu = 6000;

UniqueFd open_member(Fanout& group) {
  UniqueFd fd(socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0));
  CHECK(fd.valid());
  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = kLoopback;
  CHECK(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0);
  const Status joined = group.join(fd.get());
  if (!joined.ok()) std::printf("%s\n", joined.error().message().c_str());
  CHECK(joined.ok());
  return fd;
}

void send(const std::string& group, uint16_t port, size_t size) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM, 0));
  ip_mreqn interface {};
  interface.imr_ifindex = kLoopback;
  CHECK(setsockopt(fd.get(), IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof(interface)) == 0);
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  CHECK(inet_pton(AF_INET, group.c_str(), &to.sin_addr) == 1);
  const std::vector<uint8_t> payload(size);
  CHECK(sendto(fd.get(), payload.data(), size, 0, reinterpret_cast<const sockaddr*>(&to),
               sizeof(to)) == static_cast<ssize_t>(size));
}

// Frames that each member has got since the last call. `least` of them were sent: on a busy machine
// the kernel may deliver them after it has taken them.
std::vector<int> received(const std::vector<UniqueFd>& members, int least) {
  std::vector<int> counts(members.size());
  int all = 0;
  CHECK(eventually([&] {
    for (size_t i = 0; i < members.size(); i++) {
      std::array<uint8_t, 64> frame;
      while (recv(members[i].get(), frame.data(), frame.size(), MSG_DONTWAIT) >= 0) {
        counts[i]++;
        all++;
      }
    }
    return all >= least;
  }));
  return counts;
}

int member_of(const std::vector<int>& counts) {
  int member = -1;
  for (size_t i = 0; i < counts.size(); i++) {
    if (counts[i] == 0) continue;
    CHECK_EQ(member, -1);
    member = static_cast<int>(i);
  }
  return member;
}

void spreads_by_destination_alone() {
  Fanout group;
  std::vector<UniqueFd> members;
  for (int i = 0; i < 2; i++) members.push_back(open_member(group));
  CHECK(Fanout::steer(members[0].get(), compile_steering(2, 0)).ok());
  received(members, 0);
  std::map<int, int> groups_of_member;
  for (int i = 1; i <= 16; i++) {
    const std::string to = "239.1.1." + std::to_string(i);
    send(to, 5001, 100);
    const std::vector<int> counts = received(members, 1);
    const int member = member_of(counts);
    CHECK(member >= 0);
    // One frame, once: not the one that is sent, only the one that arrives.
    CHECK_EQ(counts[static_cast<size_t>(member)], 1);
    groups_of_member[member]++;
    // Other ports, other lengths and all fragments of a datagram go where the first one went.
    for (uint16_t port = 1; port < 20; port++) send(to, port, 100U * port);
    CHECK_EQ(member_of(received(members, 19)), member);
    send(to, 5001, 8000);
    const std::vector<int> fragments = received(members, 2);
    CHECK_EQ(member_of(fragments), member);
    CHECK_EQ(fragments[static_cast<size_t>(member)], 2);
  }
  // Neighbouring groups are spread evenly.
  CHECK(groups_of_member[0] >= 6 && groups_of_member[1] >= 6);
}

void steers_long_frames_to_the_members_behind() {
  Fanout group;
  std::vector<UniqueFd> members;
  for (int i = 0; i < 2; i++) members.push_back(open_member(group));
  CHECK(Fanout::steer(members[0].get(), compile_steering(2, 0)).ok());
  for (int i = 0; i < 2; i++) members.push_back(open_member(group));
  received(members, 0);
  // Who comes later gets nothing before the program says so.
  for (int i = 1; i <= 4; i++) send("239.1.1." + std::to_string(i), 5001, 5000);
  std::vector<int> counts = received(members, 4);
  CHECK_EQ(counts[0] + counts[1], 4);
  CHECK_EQ(counts[2] + counts[3], 0);
  CHECK(Fanout::steer(members[0].get(), compile_steering(2, kLongest)).ok());
  for (int i = 1; i <= 8; i++) {
    const std::string to = "239.1.1." + std::to_string(i);
    send(to, 5001, kLongest - 28);
    const int member = member_of(received(members, 1));
    CHECK(member == 0 || member == 1);
    send(to, 5001, kLongest - 27);
    CHECK_EQ(member_of(received(members, 1)), member + 2);
  }
}

void steers_long_frames_of_one_worker() {
  Fanout group;
  std::vector<UniqueFd> members;
  for (int i = 0; i < 2; i++) members.push_back(open_member(group));
  received(members, 0);
  // Without a program the first one has all.
  send("239.1.1.1", 5001, 100);
  send("239.1.1.2", 5001, 5000);
  CHECK((received(members, 2) == std::vector<int>{2, 0}));
  CHECK(Fanout::steer(members[0].get(), compile_steering(1, kLongest)).ok());
  for (int i = 1; i <= 8; i++) {
    const std::string to = "239.1.1." + std::to_string(i);
    send(to, 5001, kLongest - 28);
    CHECK((received(members, 1) == std::vector<int>{1, 0}));
    send(to, 5001, kLongest - 27);
    CHECK((received(members, 1) == std::vector<int>{0, 1}));
  }
}

void gives_what_is_no_ipv4_to_the_first() {
  Fanout group;
  std::vector<UniqueFd> members;
  for (int i = 0; i < 2; i++) members.push_back(open_member(group));
  CHECK(Fanout::steer(members[0].get(), compile_steering(2, kLongest)).ok());
  received(members, 0);
  const UniqueFd fd(socket(AF_PACKET, SOCK_RAW, 0));
  sockaddr_ll to{};
  to.sll_family = AF_PACKET;
  to.sll_ifindex = kLoopback;
  for (uint8_t i = 0; i < 8; i++) {
    std::array<uint8_t, 60> frame{};
    frame[12] = 0x88;
    frame[13] = 0xb5;
    frame[33] = i;
    CHECK(sendto(fd.get(), frame.data(), frame.size(), 0, reinterpret_cast<const sockaddr*>(&to),
                 sizeof(to)) == static_cast<ssize_t>(frame.size()));
  }
  const std::vector<int> counts = received(members, 8);
  CHECK_EQ(counts[0], 8);
  CHECK_EQ(counts[1], 0);
}

}  // namespace

int main() {
  if (!enter_own_namespace(kMtu)) return kSkipped;
  spreads_by_destination_alone();
  steers_long_frames_to_the_members_behind();
  steers_long_frames_of_one_worker();
  gives_what_is_no_ipv4_to_the_first();
}
