// When packets to a unicast address may leave as frames to the neighbour, and what the kernel's
// messages say of it.
#include "forwarder/unicast_way.h"

#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>
#include <vector>

#include "check.h"

using namespace mcfleet;

namespace {

constexpr uint32_t kHost = 0x0a020102;
constexpr uint32_t kGateway = 0x0a0201fe;

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
    const auto* from = static_cast<const uint8_t*>(data);
    bytes_.insert(bytes_.end(), from, from + size);
  }
  std::vector<uint8_t> bytes_;
};

Payload neighbour(uint16_t state, const std::vector<uint8_t>& mac) {
  ndmsg header{};
  header.ndm_family = AF_INET;
  header.ndm_ifindex = 7;
  header.ndm_state = state;
  Payload payload(header);
  payload.attribute(NDA_DST, htonl(kHost));
  if (!mac.empty()) payload.attribute(NDA_LLADDR, mac);
  return payload;
}

void reads_neighbours() {
  const std::vector<uint8_t> mac{2, 0, 0, 0, 1, 0xff};
  constexpr std::pair<uint16_t, Resolution> kStates[] = {
      {NUD_REACHABLE, Resolution::kKnown}, {NUD_PERMANENT, Resolution::kKnown},
      {NUD_NOARP, Resolution::kKnown},     {NUD_DELAY, Resolution::kKnown},
      {NUD_PROBE, Resolution::kKnown},     {NUD_STALE, Resolution::kStale},
      {NUD_FAILED, Resolution::kFailed},   {NUD_INCOMPLETE, Resolution::kUnresolved},
      {NUD_NONE, Resolution::kUnresolved},
  };
  for (const auto& [state, resolution] : kStates) {
    const auto read = parse_neighbour(neighbour(state, mac).bytes(), false);
    CHECK(read.has_value());
    CHECK(read->resolution == resolution);
    CHECK_EQ(read->ifindex, 7);
    CHECK_EQ(read->address, kHost);
    CHECK_EQ(read->mac, 0x0200000001ffU);
    // One that is gone is known no more, whatever it was.
    CHECK(!parse_neighbour(neighbour(state, mac).bytes(), true)->usable());
  }
  // Without an address there is nothing to send to: devices without neighbours, InfiniBand.
  CHECK(!parse_neighbour(neighbour(NUD_NOARP, {}).bytes(), false)->usable());
  CHECK(!parse_neighbour(neighbour(NUD_NOARP, {0, 0, 0, 0, 0, 0}).bytes(), false)->usable());
  CHECK(!parse_neighbour(neighbour(NUD_REACHABLE, std::vector<uint8_t>(20, 1)).bytes(), false)
             ->usable());
  const Payload whole = neighbour(NUD_REACHABLE, mac);
  // All but the padding at its end.
  for (size_t cut = 0; cut + 2 < whole.bytes().size(); cut++) {
    const auto read = parse_neighbour(whole.bytes().first(cut), false);
    CHECK(!read.has_value() || !read->usable());
  }
}

rtmsg route(uint8_t type = RTN_UNICAST) {
  rtmsg header{};
  header.rtm_family = AF_INET;
  header.rtm_dst_len = 32;
  header.rtm_type = type;
  return header;
}

std::optional<uint32_t> next_hop(const Payload& payload) {
  return parse_next_hop(payload.bytes(), 7, kHost);
}

void reads_routes() {
  CHECK(next_hop(Payload(route()).attribute(RTA_OIF, 7)) == kHost);
  CHECK(next_hop(Payload(route()).attribute(RTA_OIF, 7).attribute(RTA_GATEWAY, htonl(kGateway))) ==
        kGateway);
  CHECK(!next_hop(Payload(route()).attribute(RTA_OIF, 8)));
  for (const uint8_t type : {RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST, RTN_UNREACHABLE}) {
    CHECK(!next_hop(Payload(route(type)).attribute(RTA_OIF, 7)));
  }
  for (const uint16_t special : {RTA_MULTIPATH, RTA_VIA, RTA_ENCAP, RTA_ENCAP_TYPE}) {
    CHECK(!next_hop(Payload(route()).attribute(RTA_OIF, 7).attribute(special, 0)));
  }
  const auto metric = [](uint16_t type, uint32_t value) {
    std::vector<uint8_t> bytes(8);
    const rtattr header{8, type};
    std::memcpy(bytes.data(), &header, sizeof(header));
    std::memcpy(bytes.data() + 4, &value, sizeof(value));
    return Payload(route()).attribute(RTA_OIF, 7).attribute(RTA_METRICS, bytes);
  };
  CHECK(!next_hop(metric(RTAX_MTU, 1400)));
  CHECK(next_hop(metric(RTAX_MTU, 0)) == kHost);
  CHECK(next_hop(metric(RTAX_HOPLIMIT, 3)) == kHost);
  CHECK(!next_hop(Payload(route()).attribute(RTA_OIF, 7).attribute(RTA_METRICS, 0xffffffff)));
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
  for (const TransmitRequest request : {kSendmmsg, kIoUring}) {
    CHECK(obstacle(request, HostPolicy::kNone) == Transmit::kPacketsAsked);
  }
  CHECK(unicast_obstacle(kAuto, Transmit::kFramesOldKernel, HostPolicy::kNone, true) ==
        Transmit::kPackets);
}

}  // namespace

int main() {
  reads_neighbours();
  reads_routes();
  leaves_to_the_kernel_what_it_does_more();
  // Nothing of it can be asked of an interface that is not there.
  CHECK(!find_next_hop(0x7ffffff, kHost).has_value());
  CHECK(!read_neighbour(0x7ffffff, kHost).usable());
}
