// Rules that change, and an interface that goes, while packets leave through UDP sockets. Meant for
// the sanitizers; what receivers see in detail is tested in forwarder-udp-sockets.test.ts.
#include <sys/resource.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "check.h"
#include "eventually.h"
#include "forwarder/forwarder.h"
#include "own_namespace.h"
#include "packets.h"
#include "veth_links.h"

using namespace mcfleet;
using packets::Bytes;

namespace {

// More than the sockets that one worker has for a receiver.
constexpr uint32_t kFlows = SegmentWay::kSockets + 2;
constexpr uint16_t kFirstPort = 40'000;
constexpr uint16_t kPort = 6001;
constexpr size_t kPayload = 64;
constexpr uint32_t kTrain = 10;
constexpr size_t kHeaders = 14 + 20 + 8;

RelayProgram relay(const std::string& uid, const std::string& group, const std::string& receiver) {
  OutputProgram output;
  output.key = "out";
  output.ifindex = index_of("out");
  output.address = receiver;
  output.port = kPort;
  RelayProgram program;
  program.uid = uid;
  program.input_ifindex = index_of("in");
  program.group = group;
  program.port = 5001;
  program.keep_duplicates = true;
  program.outputs = {output};
  return program;
}

// Takes what arrives at the receiver, super-frames too: each flow in order, none lost, none twice.
class Receiver final {
 public:
  // Until each flow has brought so many, or half a minute is over.
  void take_until(uint32_t each) {
    CHECK(eventually([&] {
      while (take()) continue;
      for (const uint32_t next : next_) {
        if (next < each) return false;
      }
      return true;
    }));
  }
  [[nodiscard]] uint64_t super_frames() const { return super_frames_; }

 private:
  bool take() {
    const ssize_t got = recv(tap_.descriptor(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0) return false;
    const auto size = static_cast<size_t>(got);
    if (size < kHeaders || packets::get16(buffer_.data() + 12) != ETH_P_IP ||
        packets::get16(buffer_.data() + 36) != kPort) {
      return true;
    }
    CHECK_EQ((size - kHeaders) % kPayload, 0U);
    const uint32_t flow = packets::get16(buffer_.data() + 34) - uint32_t{kFirstPort};
    CHECK(flow < kFlows);
    for (size_t at = kHeaders; at < size; at += kPayload) {
      CHECK_EQ(packets::get32(buffer_.data() + at), next_[flow]);
      next_[flow]++;
    }
    super_frames_ += size > kHeaders + kPayload;
    return true;
  }

  Tap tap_{"out-far"};
  Bytes buffer_ = Bytes(65'536);
  std::array<uint32_t, kFlows> next_{};
  uint64_t super_frames_ = 0;
};

// A train of each flow, the first packet of each with this number.
void send_trains(Tap& sender, uint32_t first) {
  for (uint32_t flow = 0; flow < kFlows; flow++) {
    for (uint32_t i = 0; i < kTrain; i++) {
      packets::Spec spec;
      spec.source_port = static_cast<uint16_t>(kFirstPort + flow);
      // DF: only such packets suit a UDP socket.
      spec.flags = 0x4000;
      spec.id = static_cast<uint16_t>(first + i);
      spec.payload = Bytes(kPayload);
      packets::put32(spec.payload.data(), first + i);
      sender.send(multicast_frame(packets::ip_packet(spec)));
    }
  }
}

UdpSocketStatus udp_sockets(Forwarder& forwarder) {
  UdpSocketStatus all;
  for (const WorkerStatus& worker : forwarder.status().workers) {
    all.open += worker.udp_sockets.open;
    all.refused += worker.udp_sockets.refused;
    all.packets_without += worker.udp_sockets.packets_without;
  }
  return all;
}

void forwards_while_rules_change(Forwarder& forwarder, Tap& sender) {
  const RelayProgram main = relay("main", "239.1.1.1", "10.2.1.2");
  CHECK(forwarder.apply({true, {main}, {}}).empty());
  std::atomic<bool> done{false};
  std::thread changes([&] {
    for (int i = 0; !done; i++) {
      // Some come and go with receivers of their own; that of the traffic gets another TTL.
      const std::string uid = "other" + std::to_string(i % 5);
      const std::string receiver = "10.2.1." + std::to_string(2 + i % 4);
      RelayProgram changed = main;
      changed.outputs[0].ttl = static_cast<uint8_t>(10 + i % 3);
      const RelayProgram other = relay(uid, "239.1.2." + std::to_string(i % 7), receiver);
      CHECK(forwarder.apply({false, {other, changed}, {"other" + std::to_string((i + 1) % 5)}})
                .empty());
    }
  });
  std::thread reader([&] {
    while (!done) {
      CHECK(!forwarder.snapshot(nullptr).relays.empty());
      CHECK(udp_sockets(forwarder).open <= kMostSegmentSockets);
      std::this_thread::yield();
    }
  });
  Receiver receiver;
  uint32_t sent = 0;
  const auto send_and_take = [&] {
    send_trains(sender, sent);
    sent += kTrain;
    receiver.take_until(sent);
  };
  // Sockets are opened within two seconds, and those that do not fit are refused.
  CHECK(eventually([&] {
    send_and_take();
    const UdpSocketStatus status = udp_sockets(forwarder);
    return status.open == SegmentWay::kSockets && status.refused > 0;
  }));
  const uint64_t before = receiver.super_frames();
  const uint64_t without = udp_sockets(forwarder).packets_without;
  for (int i = 0; i < 100; i++) send_and_take();
  done = true;
  changes.join();
  reader.join();
  CHECK(receiver.super_frames() > before);
  CHECK(udp_sockets(forwarder).packets_without > without);
}

void gives_sockets_up_with_their_interface(Forwarder& forwarder, Tap& sender) {
  CHECK(forwarder.apply({true, {relay("main", "239.1.1.1", "10.2.1.2")}, {}}).empty());
  std::atomic<bool> done{false};
  std::thread traffic([&] {
    for (uint32_t i = 0; !done; i += kTrain) send_trains(sender, i);
  });
  CHECK(eventually([&] { return udp_sockets(forwarder).open > 0; }));
  ip_batch("link delete out\n");
  CHECK(eventually([&] { return udp_sockets(forwarder).open == 0; }));
  done = true;
  traffic.join();
}

// Datagrams that arrive for receivers behind the gateway, and how many of them in super-frames.
class Network final {
 public:
  // Until each receiver has got so many of each flow.
  void take_until(size_t datagrams) {
    CHECK(eventually([&] {
      while (take()) continue;
      return datagrams_ >= datagrams;
    }));
    CHECK_EQ(datagrams_, datagrams);
  }
  [[nodiscard]] size_t in_super_frames() const { return in_super_frames_; }

 private:
  bool take() {
    const ssize_t got = recv(tap_.descriptor(), buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (got < 0) return false;
    const auto size = static_cast<size_t>(got);
    if (size < kHeaders || packets::get16(buffer_.data() + 12) != ETH_P_IP ||
        packets::get16(buffer_.data() + 36) != kPort) {
      return true;
    }
    const size_t datagrams = (size - kHeaders) / kPayload;
    datagrams_ += datagrams;
    if (datagrams > 1) in_super_frames_ += datagrams;
    return true;
  }

  Tap tap_{"out-far"};
  Bytes buffer_ = Bytes(65'536);
  size_t datagrams_ = 0;
  size_t in_super_frames_ = 0;
};

// Receivers for all sockets that there may be, and three more.
void opens_no_more_than_it_may(Forwarder& forwarder, Tap& sender) {
  constexpr size_t kReceivers = kMostSegmentSockets / SegmentWay::kSockets + 3;
  // Each has a raw socket besides.
  rlimit descriptors{};
  CHECK(getrlimit(RLIMIT_NOFILE, &descriptors) == 0);
  descriptors.rlim_cur = descriptors.rlim_max;
  CHECK(setrlimit(RLIMIT_NOFILE, &descriptors) == 0);
  if (descriptors.rlim_cur < 2 * kMostSegmentSockets) {
    std::printf("skipped: the bound of all UDP sockets, for more descriptors than there may be\n");
    return;
  }
  ip_batch("route add 10.9.0.0/16 via 10.2.1.2 dev out\n");
  RelayProgram many = relay("many", "239.1.1.1", "10.9.0.1");
  for (size_t i = 1; i < kReceivers; i++) {
    OutputProgram output = many.outputs[0];
    output.key = std::to_string(i);
    output.address = "10.9." + std::to_string(i / 250) + "." + std::to_string(1 + i % 250);
    many.outputs.push_back(output);
  }
  CHECK(forwarder.apply({true, {many}, {}}).empty());
  Network network;
  uint32_t sent = 0;
  const auto send_and_take = [&] {
    send_trains(sender, sent);
    sent += kTrain;
    network.take_until(size_t{sent} * kFlows * kReceivers);
    const UdpSocketStatus status = udp_sockets(forwarder);
    CHECK(status.open <= kMostSegmentSockets);
    return status;
  };
  CHECK(eventually([&] { return send_and_take().open == kMostSegmentSockets; }));
  // What does not fit is asked for, refused, and leaves another way: none is lost.
  const uint64_t refused = udp_sockets(forwarder).refused;
  CHECK(eventually([&] { return send_and_take().refused > refused; }));
  const UdpSocketStatus before = udp_sockets(forwarder);
  const size_t in_super_frames = network.in_super_frames();
  const UdpSocketStatus after = send_and_take();
  CHECK_EQ(after.open, kMostSegmentSockets);
  CHECK(after.packets_without > before.packets_without);
  CHECK(network.in_super_frames() > in_super_frames);
}

}  // namespace

int main() {
  if (!enter_own_namespace()) return kSkipped;
  if (std::system("nft add table inet own") != 0) {
    std::printf("skipped: needs nft, and a kernel with nftables\n");
    return kSkipped;
  }
  for (const size_t workers : {size_t{1}, size_t{2}}) {
    add_links({"in", "out"});
    ip_batch("address add 10.2.1.1/24 dev out\n");
    for (int i = 2; i < 6; i++) {
      ip_batch("neighbour add 10.2.1." + std::to_string(i) +
               " lladdr 02:00:00:00:00:09 dev out nud permanent\n");
    }
    ForwarderOptions options;
    options.ring_bytes = size_t{8} << 20;
    options.workers = workers;
    auto forwarder = Forwarder::start(options);
    CHECK(forwarder.ok());
    Tap sender("in-far");
    forwards_while_rules_change(*forwarder.value(), sender);
    if (workers == 1) opens_no_more_than_it_may(*forwarder.value(), sender);
    gives_sockets_up_with_their_interface(*forwarder.value(), sender);
    forwarder.value().reset();
    ip_batch("link delete in\n");
  }
}
