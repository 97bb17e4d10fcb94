// When packets to a unicast address may leave as frames to the neighbour, and what the kernel's
// messages say of it.
#include "forwarder/unicast_way.h"

#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <vector>

#include "check.h"
#include "packet/bytes.h"

using namespace mcfleet;

namespace {

using Raw = std::vector<uint8_t>;

// One family's messages.
struct Family {
  uint8_t family;
  Raw host;
  Raw gateway;

  [[nodiscard]] IpAddress address(const Raw& raw) const {
    return family == AF_INET ? IpAddress(load32(raw.data())) : IpAddress::ipv6(raw.data());
  }
};

const Family kFamilies[] = {
    {AF_INET, {10, 2, 1, 2}, {10, 2, 1, 254}},
    {AF_INET6,
     {0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2},
     {0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}},
};

// The bytes behind a netlink header.
class Payload {
 public:
  template <typename Header>
  explicit Payload(const Header& header) {
    append(&header, sizeof(header));
  }
  Payload& attribute(uint16_t type, const std::vector<uint8_t>& value) {
    const rtattr header{static_cast<uint16_t>(sizeof(rtattr) + value.size()), type};
    append(&header, sizeof(header));
    append(value.data(), value.size());
    bytes_.resize((bytes_.size() + 3) & ~size_t{3});
    return *this;
  }
  Payload& attribute(uint16_t type, uint32_t value) {
    std::vector<uint8_t> bytes(sizeof(value));
    std::memcpy(bytes.data(), &value, sizeof(value));
    return attribute(type, bytes);
  }
  [[nodiscard]] netlink::Bytes bytes() const { return bytes_; }

 private:
  void append(const void* data, size_t size) {
    if (size == 0) return;
    bytes_.resize(bytes_.size() + size);
    std::memcpy(bytes_.data() + bytes_.size() - size, data, size);
  }
  std::vector<uint8_t> bytes_;
};

Payload neighbour(const Family& family, uint16_t state, const Raw& mac) {
  ndmsg header{};
  header.ndm_family = family.family;
  header.ndm_ifindex = 7;
  header.ndm_state = state;
  Payload payload(header);
  payload.attribute(NDA_DST, family.host);
  if (!mac.empty()) payload.attribute(NDA_LLADDR, mac);
  return payload;
}

void reads_neighbours(const Family& family) {
  const Raw mac{2, 0, 0, 0, 1, 0xff};
  constexpr std::pair<uint16_t, Resolution> kStates[] = {
      {NUD_REACHABLE, Resolution::kKnown}, {NUD_PERMANENT, Resolution::kKnown},
      {NUD_NOARP, Resolution::kKnown},     {NUD_DELAY, Resolution::kKnown},
      {NUD_PROBE, Resolution::kKnown},     {NUD_STALE, Resolution::kStale},
      {NUD_FAILED, Resolution::kFailed},   {NUD_INCOMPLETE, Resolution::kUnresolved},
      {NUD_NONE, Resolution::kUnresolved},
  };
  for (const auto& [state, resolution] : kStates) {
    const auto read = parse_neighbour(neighbour(family, state, mac).bytes(), false);
    CHECK(read.has_value());
    CHECK(read->resolution == resolution);
    CHECK_EQ(read->ifindex, 7);
    CHECK(read->address == family.address(family.host));
    CHECK_EQ(read->mac, 0x0200000001ffU);
    // One that is gone is known no more, whatever it was.
    CHECK(!parse_neighbour(neighbour(family, state, mac).bytes(), true)->usable());
  }
  // The kernel sends to it without asking, but no frame can be addressed: devices without
  // neighbours, InfiniBand.
  for (const Raw& other : {Raw{}, Raw(6, 0), Raw(20, 1)}) {
    const auto read = parse_neighbour(neighbour(family, NUD_NOARP, other).bytes(), false);
    CHECK(read->usable());
    CHECK_EQ(read->mac, 0U);
  }
  const Payload whole = neighbour(family, NUD_REACHABLE, mac);
  // All but the padding at its end.
  for (size_t cut = 0; cut + 2 < whole.bytes().size(); cut++) {
    const auto read = parse_neighbour(whole.bytes().first(cut), false);
    CHECK(!read.has_value() || read->mac == 0);
  }
  // An address of the other family's length, or none at all.
  ndmsg header{};
  header.ndm_family = family.family;
  header.ndm_state = NUD_REACHABLE;
  const size_t length = family.host.size();
  for (const Raw& wrong : {Raw(20 - length, 1), Raw(length - 1, 1), Raw(length, 0), Raw{}}) {
    CHECK(!parse_neighbour(Payload(header).attribute(NDA_DST, wrong).bytes(), false).has_value());
  }
  CHECK(!parse_neighbour(Payload(header).bytes(), false).has_value());
  header.ndm_family = AF_BRIDGE;
  CHECK(!parse_neighbour(Payload(header).attribute(NDA_DST, family.host).bytes(), false));
}

void reads_routes(const Family& family) {
  const auto route = [&](uint8_t type = RTN_UNICAST) {
    rtmsg header{};
    header.rtm_family = family.family;
    header.rtm_type = type;
    return Payload(header);
  };
  const IpAddress host = family.address(family.host);
  const IpAddress gateway = family.address(family.gateway);
  const auto next_hop = [&](const Payload& payload) {
    return parse_next_hop(payload.bytes(), 7, host);
  };
  CHECK(next_hop(route().attribute(RTA_OIF, 7)) == NextHop{host});
  const Payload through = route().attribute(RTA_OIF, 7).attribute(RTA_GATEWAY, family.gateway);
  CHECK(next_hop(through) == NextHop{gateway});
  for (size_t cut = 0; cut < through.bytes().size(); cut++) {
    CHECK(parse_next_hop(through.bytes().first(cut), 7, host) != NextHop{gateway});
  }
  CHECK(!next_hop(route().attribute(RTA_OIF, 8)));
  for (const uint8_t type : {RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST, RTN_UNREACHABLE}) {
    CHECK(!next_hop(route(type).attribute(RTA_OIF, 7)));
  }
  for (const uint16_t special : {RTA_MULTIPATH, RTA_VIA, RTA_ENCAP, RTA_ENCAP_TYPE}) {
    CHECK(!next_hop(route().attribute(RTA_OIF, 7).attribute(special, 0)));
  }
  // A gateway that is none.
  CHECK(!next_hop(route().attribute(RTA_OIF, 7).attribute(RTA_GATEWAY, Raw(3, 1))));
  // The answer for another family.
  for (const Family& other : kFamilies) {
    if (other.family == family.family) continue;
    CHECK(!parse_next_hop(route().attribute(RTA_OIF, 7).bytes(), 7, other.address(other.host)));
  }
  const auto metric = [&](uint16_t type, uint32_t value) {
    Raw bytes(8);
    const rtattr header{8, type};
    std::memcpy(bytes.data(), &header, sizeof(header));
    std::memcpy(bytes.data() + 4, &value, sizeof(value));
    return route().attribute(RTA_OIF, 7).attribute(RTA_METRICS, bytes);
  };
  // The neighbour is known, and the kernel does more.
  CHECK((next_hop(metric(RTAX_MTU, 1400)) == NextHop{host, 1400}));
  CHECK(next_hop(metric(RTAX_MTU, 0)) == NextHop{host});
  CHECK(next_hop(metric(RTAX_HOPLIMIT, 3)) == NextHop{host});
  CHECK(!next_hop(route().attribute(RTA_OIF, 7).attribute(RTA_METRICS, 0xffffffff)));
}

void leaves_to_the_kernel_what_it_does_more() {
  using enum TransmitRequest;
  const auto obstacle = [](TransmitRequest request, HostPolicy policy, bool plain = true) {
    return unicast_obstacle(request, Transmit::kGsoDevice, policy, plain);
  };
  CHECK(!obstacle(kAuto, HostPolicy::kNone));
  CHECK(!obstacle(kGso, HostPolicy::kPresent));
  CHECK(obstacle(kAuto, HostPolicy::kPresent) == Transmit::kPacketsPolicy);
  CHECK(obstacle(kAuto, HostPolicy::kUnknown) == Transmit::kPacketsPolicyUnknown);
  CHECK(obstacle(kGso, HostPolicy::kNone, false) == Transmit::kPacketsRoute);
  CHECK(obstacle(kSendmmsg, HostPolicy::kNone) == Transmit::kPacketsAsked);
  CHECK(obstacle(kIoUring, HostPolicy::kNone) == Transmit::kPacketsNoUring);
  CHECK(unicast_obstacle(kAuto, Transmit::kFramesOldKernel, HostPolicy::kNone, true) ==
        Transmit::kPackets);
  // Frames to the neighbour leave one by one as well, as safely.
  CHECK(!unicast_obstacle(kAuto, Transmit::kFramesQueue, HostPolicy::kNone, true));
  CHECK(unicast_obstacle(kAuto, Transmit::kFramesQueue, HostPolicy::kPresent, true) ==
        Transmit::kPacketsPolicy);
  // Filters meet what comes from a UDP socket as well.
  CHECK(obstacle(kAuto, HostPolicy::kFilters) == Transmit::kUnicastUdp);
  CHECK(!obstacle(kGso, HostPolicy::kFilters));
  CHECK(obstacle(kSendmmsg, HostPolicy::kFilters) == Transmit::kPacketsAsked);
  // Which next hop is taken depends on the socket.
  CHECK(obstacle(kAuto, HostPolicy::kFilters, false) == Transmit::kPacketsPolicy);
  CHECK(unicast_obstacle(kAuto, Transmit::kFramesQueue, HostPolicy::kFilters, true) ==
        Transmit::kPacketsPolicy);
}

}  // namespace

int main() {
  for (const Family& family : kFamilies) {
    reads_neighbours(family);
    reads_routes(family);
    // Nothing of it can be asked of an interface that is not there.
    const IpAddress host = family.address(family.host);
    CHECK(!find_next_hop(0x7ffffff, host).has_value());
    CHECK(!read_neighbour(0x7ffffff, host).usable());
  }
  leaves_to_the_kernel_what_it_does_more();
}
