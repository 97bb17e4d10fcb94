// Joins on the loopback interface of this process's namespace, read back from the kernel. Needs no
// privilege.
#include "forwarder/memberships.h"

#include <net/if.h>

#include <fstream>
#include <iomanip>
#include <set>
#include <sstream>
#include <string>

#include "check.h"

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

void tells_what_is_missing() {
  Memberships memberships;
  const Status status = memberships.join({0x7ffffff0, kGroup, 0});
  CHECK(!status.ok());
  CHECK_EQ(status.error().code, ENODEV);
  CHECK(status.error().message().find("join group 239.77.0.0") != std::string::npos);
}

}  // namespace

int main() {
  const auto ifindex = static_cast<int>(if_nametoindex("lo"));
  CHECK(ifindex > 0);
  spreads_groups_over_sockets(ifindex);
  counts_references(ifindex);
  joins_sources_beside_any(ifindex);
  tells_what_is_missing();
}
