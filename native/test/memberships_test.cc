// Joins on the loopback interface of a namespace of its own, read back from the kernel.
#include "forwarder/memberships.h"

#include <fstream>
#include <iomanip>
#include <set>
#include <sstream>
#include <string>

#include "check.h"
#include "own_namespace.h"

using namespace mcfleet;

namespace {

// Groups of 239.77.0.0/16 that the kernel holds for any socket: /proc/net/igmp writes addresses as
// the machine's own integers in memory order.
std::set<uint32_t> joined() {
  std::set<uint32_t> groups;
  std::ifstream file("/proc/net/igmp");
  std::string line;
  while (std::getline(file, line)) {
    std::istringstream words(line);
    std::string word;
    words >> word;
    if (word.size() != 8 || word.find(':') != std::string::npos) continue;
    const uint32_t group = __builtin_bswap32(static_cast<uint32_t>(std::stoul(word, nullptr, 16)));
    if (group >> 16 == 0xef4d) groups.insert(group);
  }
  return groups;
}

// Lines of /proc/net/mcfilter for 239.77.0.0/16: one per interface, group and source.
size_t filtered_sources() {
  std::ifstream file("/proc/net/mcfilter");
  std::string line;
  size_t count = 0;
  while (std::getline(file, line)) count += line.find("0xef4d") != std::string::npos ? 1 : 0;
  return count;
}

constexpr uint32_t kGroup = 0xef4d0000;

void spreads_groups_over_sockets(int ifindex) {
  Memberships memberships;
  for (uint32_t i = 0; i < 50; i++) CHECK(memberships.join({ifindex, kGroup + i, 0}).ok());
  CHECK_EQ(joined().size(), 50U);
  for (uint32_t i = 0; i < 50; i += 2) memberships.leave({ifindex, kGroup + i, 0});
  CHECK_EQ(joined().size(), 25U);
  CHECK(joined().contains(kGroup + 1));
  // Room that became free is used again.
  for (uint32_t i = 0; i < 50; i += 2) CHECK(memberships.join({ifindex, kGroup + i, 0}).ok());
  CHECK_EQ(joined().size(), 50U);
  memberships.rejoin(ifindex);
  CHECK_EQ(joined().size(), 50U);
}

void counts_references(int ifindex) {
  Memberships memberships;
  const Membership membership{ifindex, kGroup, 0};
  CHECK(memberships.join(membership).ok());
  CHECK(memberships.join(membership).ok());
  memberships.leave(membership);
  CHECK_EQ(joined().size(), 1U);
  memberships.leave(membership);
  CHECK_EQ(joined().size(), 0U);
  memberships.leave(membership);
}

void joins_sources_beside_any(int ifindex) {
  Memberships memberships;
  // More sources than one socket takes of one group (igmp_max_msf), and the same group from any
  // source.
  for (uint32_t i = 1; i <= 25; i++)
    CHECK(memberships.join({ifindex, kGroup, 0x0a000000 + i}).ok());
  CHECK_EQ(filtered_sources(), 25U);
  CHECK(memberships.join({ifindex, kGroup, 0}).ok());
  CHECK_EQ(joined().size(), 1U);
  for (uint32_t i = 1; i <= 25; i++) memberships.leave({ifindex, kGroup, 0x0a000000 + i});
  CHECK_EQ(joined().size(), 1U);
  CHECK_EQ(filtered_sources(), 0U);
  memberships.leave({ifindex, kGroup, 0});
  CHECK_EQ(joined().size(), 0U);
}

// Lines of /proc/net/igmp6 or mcfilter6 for the groups of this test, which begin with ff3e::4d.
size_t ipv6_lines(const char* path) {
  const std::string group = "ff3e" + std::string(22, '0') + "4d";
  std::ifstream file(path);
  std::string line;
  size_t count = 0;
  while (std::getline(file, line)) count += line.find(group) != std::string::npos ? 1 : 0;
  return count;
}

IpAddress ipv6_group(uint32_t number) {
  uint8_t bytes[16] = {0xff, 0x3e};
  bytes[13] = 0x4d;
  bytes[14] = static_cast<uint8_t>(number >> 8);
  bytes[15] = static_cast<uint8_t>(number);
  return IpAddress::ipv6(bytes);
}

IpAddress ipv6_source(uint32_t number) {
  uint8_t bytes[16] = {0x20, 0x01, 0x0d, 0xb8};
  bytes[15] = static_cast<uint8_t>(number);
  return IpAddress::ipv6(bytes);
}

void holds_ipv6_groups_beside_ipv4(int ifindex) {
  Memberships memberships;
  constexpr uint32_t kGroups = 500;
  for (uint32_t i = 0; i < kGroups; i++) CHECK(memberships.join({ifindex, ipv6_group(i), {}}).ok());
  CHECK(memberships.join({ifindex, kGroup, {}}).ok());
  CHECK_EQ(ipv6_lines("/proc/net/igmp6"), kGroups);
  for (uint32_t i = 0; i < kGroups; i += 2) memberships.leave({ifindex, ipv6_group(i), {}});
  CHECK_EQ(ipv6_lines("/proc/net/igmp6"), kGroups / 2);
  memberships.rejoin(ifindex);
  CHECK_EQ(ipv6_lines("/proc/net/igmp6"), kGroups / 2);
  CHECK_EQ(joined().size(), 1U);
  for (uint32_t i = 1; i < kGroups; i += 2) memberships.leave({ifindex, ipv6_group(i), {}});
  CHECK_EQ(ipv6_lines("/proc/net/igmp6"), 0U);
  // More sources than one socket takes (mld_max_msf), and any source beside them.
  for (uint32_t i = 1; i <= 100; i++)
    CHECK(memberships.join({ifindex, ipv6_group(0), ipv6_source(i)}).ok());
  CHECK_EQ(ipv6_lines("/proc/net/mcfilter6"), 100U);
  CHECK(memberships.join({ifindex, ipv6_group(0), {}}).ok());
  for (uint32_t i = 1; i <= 100; i++) memberships.leave({ifindex, ipv6_group(0), ipv6_source(i)});
  CHECK_EQ(ipv6_lines("/proc/net/mcfilter6"), 0U);
  CHECK_EQ(ipv6_lines("/proc/net/igmp6"), 1U);
}

void tells_what_is_missing() {
  Memberships memberships;
  const Status status = memberships.join({0x7ffffff0, kGroup, 0});
  CHECK(!status.ok());
  CHECK_EQ(status.error().code, ENODEV);
  CHECK(status.error().message().find("join group 239.77.0.0") != std::string::npos);
  const Status ipv6 = memberships.join({0x7ffffff0, ipv6_group(0), ipv6_source(9)});
  CHECK(!ipv6.ok());
  CHECK(ipv6.error().message().find("join group ff3e::4d:0 from source 2001:db8::9") !=
        std::string::npos);
}

}  // namespace

int main() {
  if (!enter_own_namespace()) return kSkipped;
  spreads_groups_over_sockets(kLoopback);
  counts_references(kLoopback);
  joins_sources_beside_any(kLoopback);
  holds_ipv6_groups_beside_ipv4(kLoopback);
  tells_what_is_missing();
}
