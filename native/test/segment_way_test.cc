// Which UDP sockets are opened, what is counted of those that are not, and that a port has given up
// counters entirely when it says so.
#include "forwarder/segment_way.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <memory>
#include <vector>

#include "check.h"
#include "forwarder/egress_ports.h"
#include "own_namespace.h"
#include "packets.h"

using namespace mcfleet;

namespace {

constexpr uint16_t kPort = 40'000;
constexpr uint32_t kPackets = 3;
constexpr uint16_t kSegment = 100;

const LocalPorts& local_ports() {
  static const LocalPorts ports("32768\t60999", "40009");
  return ports;
}

// As a program that shares its port with nobody.
UniqueFd take_port(uint16_t port) {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_port = htons(port);
  CHECK(bind(fd.get(), reinterpret_cast<const sockaddr*>(&any), sizeof(any)) == 0);
  return fd;
}

void counts_what_is_not_opened() {
  RefusalCounters refusals;
  SegmentCounters counters;
  SegmentWay way(refusals, counters);
  const auto open = [&](size_t room) {
    return way.open_wanted(kLoopback, AF_INET, local_ports(), room);
  };
  CHECK(!way.wants());
  CHECK(!way.serves(kPort, kPackets, 1));
  CHECK(way.wants());
  CHECK_EQ(counters.packets.get(), kPackets);
  // Others have all that there may be.
  CHECK_EQ(open(0), 0U);
  CHECK_EQ(counters.refused.get(), 1U);
  CHECK(!way.wants());
  UniqueFd program = take_port(kPort);
  CHECK(!way.serves(kPort, kPackets, 1));
  CHECK_EQ(open(10), 0U);
  CHECK_EQ(counters.failed.get(), 1U);
  CHECK_EQ(way.open(), 0U);
  program.reset();
  CHECK(!way.serves(kPort, kPackets, 1));
  CHECK_EQ(open(10), 1U);
  CHECK_EQ(way.open(), 1U);
  CHECK(way.serves(kPort, kPackets, SegmentWay::kRefusedNs));
  CHECK_EQ(counters.packets.get(), 3 * kPackets);
  // Not ours to take.
  for (const uint16_t port : {uint16_t{5001}, uint16_t{40'009}})
    CHECK(!way.serves(port, kPackets, 1));
  CHECK_EQ(open(10), 0U);
  // Room for one of two.
  for (const uint16_t port : {uint16_t{kPort + 1}, uint16_t{kPort + 2}})
    CHECK(!way.serves(port, kPackets, 1));
  CHECK_EQ(open(1), 1U);
  CHECK_EQ(counters.refused.get(), 2U);
  for (uint16_t i = 1; i <= SegmentWay::kSockets; i++)
    (void)way.serves(static_cast<uint16_t>(kPort + i), kPackets, 1);
  CHECK_EQ(open(10), SegmentWay::kSockets - 2);
  CHECK_EQ(way.open(), SegmentWay::kSockets);
  CHECK_EQ(counters.refused.get(), 3U);
  CHECK_EQ(counters.failed.get(), 1U);
}

// A super-frame from 127.0.0.1 to itself.
packets::Bytes super_frame(Datagram& datagram) {
  packets::Spec spec;
  spec.source = spec.destination = 0x7f000001;
  spec.source_port = kPort;
  spec.payload = packets::Bytes(kPackets * kSegment);
  packets::Bytes packet = packets::ip_packet(spec);
  VnetHeader offload{};
  offload.gso_type = kVnetGsoUdpL4;
  offload.gso_size = kSegment;
  CHECK(parse_frame(packet.data(), packet.size(), packet.size(), 0, offload, datagram).status ==
        ParseStatus::kOk);
  CHECK_EQ(datagram.segments, kPackets);
  return packet;
}

void forgets_what_udp_sockets_hold() {
  const auto refusals = std::make_shared<PerWorker<RefusalCounters>>(1);
  const auto frames = std::make_shared<EgressPorts>(kLoopback, TransmitRequest::kAuto, refusals);
  EgressPorts ports(frames, IpAddress(0x7f000001), std::make_shared<PerWorker<SegmentCounters>>(1));
  EgressPort& port = ports.of(0);
  CHECK(!port.serves_segments(kPort, kPackets, 1));
  CHECK_EQ(port.segments().open_wanted(kLoopback, AF_INET, local_ports(), 10), 1U);
  Datagram datagram;
  packets::Bytes packet = super_frame(datagram);
  const size_t headers = datagram.ip_header + size_t{kUdpHeader};
  const iovec payload{packet.data() + headers, packet.size() - headers};
  OutputCounters stays;
  auto gone = std::make_unique<OutputCounters>();
  for (OutputCounters* counters : {&stays, gone.get()})
    CHECK(port.send_segments(packet.data(), datagram, {&payload, 1}, 1, *counters));
  CHECK(!port.settled());
  port.unsettled.store(true);
  const EgressPort::GoneCounters list{gone.get()};
  port.ask_to_forget(list);
  CHECK(!port.has_forgotten());
  port.settle();
  CHECK(port.has_forgotten());
  CHECK(port.settled());
  CHECK_EQ(stays.packets.get(), kPackets);
  CHECK_EQ(gone->packets.get(), 0U);
}

}  // namespace

int main() {
  if (!enter_own_namespace()) return kSkipped;
  counts_what_is_not_opened();
  forgets_what_udp_sockets_hold();
}
