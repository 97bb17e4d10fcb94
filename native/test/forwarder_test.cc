// The whole packet path on the loopback interface of a network namespace of its own: packets in and
// out, while one thread changes rules and another reads counters. Meant for the sanitizers; what
// receivers see in detail is tested in forwarder*.test.ts.
#include "forwarder/forwarder.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <algorithm>
#include <atomic>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "check.h"
#include "eventually.h"
#include "own_namespace.h"

using namespace mcfleet;

namespace {

constexpr int kPackets = 20000;

sockaddr_in address(const char* text, uint16_t port) {
  sockaddr_in result{};
  result.sin_family = AF_INET;
  result.sin_port = htons(port);
  CHECK(inet_pton(AF_INET, text, &result.sin_addr) == 1);
  return result;
}

// Receives what is forwarded to `group`, on the loopback interface.
UniqueFd open_receiver(const char* group, uint16_t port) {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM, 0));
  const sockaddr_in local = address(group, port);
  CHECK(bind(fd.get(), reinterpret_cast<const sockaddr*>(&local), sizeof(local)) == 0);
  ip_mreqn membership{};
  membership.imr_multiaddr = local.sin_addr;
  membership.imr_ifindex = kLoopback;
  CHECK(setsockopt(fd.get(), IPPROTO_IP, IP_ADD_MEMBERSHIP, &membership, sizeof(membership)) == 0);
  const timeval timeout{30, 0};
  CHECK(setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0);
  return fd;
}

// Packets go to several groups in turn, which several workers share.
constexpr int kGroups = 8;

std::string group_of(int packet) {
  return "239.1.1." + std::to_string(packet % kGroups + 1);
}

void send_packets(int from, int to) {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM, 0));
  ip_mreqn interface {};
  interface.imr_ifindex = kLoopback;
  CHECK(setsockopt(fd.get(), IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof(interface)) == 0);
  // The kernel would take 0.0.0.0, which no unicast output can keep.
  const sockaddr_in source = address("127.0.0.1", 0);
  CHECK(bind(fd.get(), reinterpret_cast<const sockaddr*>(&source), sizeof(source)) == 0);
  for (int i = from; i < to; i++) {
    const sockaddr_in group = address(group_of(i).c_str(), 5001);
    CHECK(sendto(fd.get(), &i, sizeof(i), 0, reinterpret_cast<const sockaddr*>(&group),
                 sizeof(group)) == sizeof(i));
  }
}

RelayProgram relay(const std::string& uid, const std::string& group, uint16_t port) {
  RelayProgram program;
  program.uid = uid;
  program.input_ifindex = kLoopback;
  program.group = group;
  program.port = port;
  // The kernel takes no packet from outside, and so none of ours, with an address of its own.
  OutputProgram multicast;
  multicast.key = "group";
  multicast.ifindex = kLoopback;
  multicast.address = "239.2.2.2";
  multicast.port = 6001;
  multicast.source = "10.99.99.99";
  OutputProgram unicast;
  unicast.key = "unicast";
  unicast.ifindex = kLoopback;
  unicast.address = "127.0.0.1";
  unicast.port = 6002;
  unicast.ttl = 9;
  program.outputs = {multicast, unicast};
  return program;
}

void forwards_while_rules_change(Forwarder& forwarder, size_t workers) {
  RelayChange all{true, {}, {}};
  for (int i = 0; i < kGroups; i++) {
    all.upserts.push_back(relay("main" + std::to_string(i), group_of(i), 5001));
  }
  CHECK(forwarder.apply(all).empty());
  const UniqueFd receiver = open_receiver("239.2.2.2", 6001);
  std::atomic<bool> done{false};
  std::thread changes([&] {
    for (int i = 0; !done; i++) {
      const std::string uid = "other" + std::to_string(i % 5);
      const std::string group = "239.1.2." + std::to_string(i % 7);
      CHECK(forwarder.apply({false, {relay(uid, group, 5001)}, {"other" + std::to_string(i % 3)}})
                .empty());
    }
  });
  std::thread reader([&] {
    while (!done) {
      CHECK(!forwarder.snapshot(nullptr).relays.empty());
      CHECK(!forwarder.status().inputs.empty());
      std::this_thread::yield();
    }
  });
  std::vector<int> expected(kGroups);
  for (int i = 0; i < kGroups; i++) expected[static_cast<size_t>(i)] = i;
  for (int next = 0; next < kPackets;) {
    // Few at a time: what waits in the receiver's socket is bounded.
    const int end = std::min(next + 50, kPackets);
    send_packets(next, end);
    for (; next < end; next++) {
      int got = -1;
      CHECK(recv(receiver.get(), &got, sizeof(got), 0) == sizeof(got));
      // In order within each group, none twice.
      int& own = expected[static_cast<size_t>(got % kGroups)];
      CHECK_EQ(got, own);
      own += kGroups;
    }
  }
  done = true;
  changes.join();
  reader.join();
  // The receiver has a packet before its sender has counted it.
  const std::vector<std::string> uids{"main0", "unknown"};
  CHECK(eventually([&] {
    for (int i = 0; i < kGroups; i++) {
      const std::vector<std::string> uid{"main" + std::to_string(i)};
      const RelayCounts counts = forwarder.snapshot(&uid).relays.at(0);
      for (const auto& output : counts.outputs) {
        if (output.tx_packets != kPackets / kGroups) return false;
      }
    }
    return true;
  }));
  const Snapshot snapshot = forwarder.snapshot(&uids);
  CHECK_EQ(snapshot.relays.size(), 1U);
  CHECK_EQ(snapshot.relays[0].rx_packets, kPackets / kGroups);
  CHECK_EQ(snapshot.relays[0].outputs[0].tx_packets, kPackets / kGroups);
  CHECK_EQ(snapshot.relays[0].outputs[1].tx_packets, kPackets / kGroups);
  // Each worker did its part, and both together what there was.
  uint64_t total = 0;
  const ForwarderStatus status = forwarder.status();
  CHECK_EQ(status.workers.size(), workers);
  for (const WorkerStatus& worker : status.workers) {
    CHECK(worker.packets > 0);
    total += worker.packets;
  }
  CHECK_EQ(total, kPackets);
  CHECK_EQ(snapshot.inputs[0].kernel_drops, 0U);
}

void refuses_what_is_named_twice(Forwarder& forwarder) {
  const auto refusals = forwarder.apply(
      {true, {relay("twice", "239.1.1.1", 5001), relay("twice", "239.1.1.2", 5001)}, {}});
  CHECK_EQ(refusals.size(), 1U);
  CHECK(refusals[0].reason == "DuplicateUid");
  CHECK_EQ(forwarder.snapshot(nullptr).relays.size(), 1U);
}

// Without interfaces a relay forwards nothing, holds nothing open, and keeps what it has counted.
void keeps_counters_while_interfaces_are_away(Forwarder& forwarder) {
  const RelayProgram present = relay("main0", group_of(0), 5001);
  RelayProgram away = present;
  away.input_ifindex = kNoInterface;
  for (OutputProgram& output : away.outputs) output.ifindex = kNoInterface;
  const auto counts = [&forwarder] {
    const Snapshot snapshot = forwarder.snapshot(nullptr);
    CHECK_EQ(snapshot.relays.size(), 1U);
    return snapshot.relays.at(0);
  };
  CHECK(forwarder.apply({true, {present}, {}}).empty());
  const RelayCounts before = counts();
  CHECK(before.rx_packets > 0);
  CHECK(before.start_unix_nano > 0);
  const auto expect_kept = [&](LinkState state) {
    const RelayCounts now = counts();
    CHECK_EQ(now.rx_packets, before.rx_packets);
    CHECK_EQ(now.start_unix_nano, before.start_unix_nano);
    for (size_t i = 0; i < now.outputs.size(); i++) {
      CHECK_EQ(now.outputs[i].tx_packets, before.outputs[i].tx_packets);
      CHECK_EQ(now.outputs[i].start_unix_nano, before.outputs[i].start_unix_nano);
      CHECK(now.outputs[i].state == state);
    }
  };
  CHECK(forwarder.apply({false, {away}, {}}).empty());
  expect_kept(LinkState::kMissing);
  CHECK(forwarder.status().inputs.empty());
  CHECK(forwarder.status().outputs.empty());
  CHECK(forwarder.apply({false, {present}, {}}).empty());
  expect_kept(LinkState::kUp);
  CHECK_EQ(forwarder.status().inputs.size(), 1U);
}

// The nice value of the packet thread, as the kernel has it (proc_pid_stat(5), field 19).
int packet_thread_nice() {
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::string name;
    std::getline(std::ifstream(task.path() / "comm"), name);
    if (name != "mcf-forward-0") continue;
    std::string stat;
    std::getline(std::ifstream(task.path() / "stat"), stat);
    std::istringstream fields(stat.substr(stat.rfind(')') + 2));
    std::string skipped;
    for (int field = 3; field < 19; field++) fields >> skipped;
    int nice = 0;
    fields >> nice;
    return nice;
  }
  CHECK(false && "the packet thread is there");
  return 0;
}

void tells_whether_packets_go_first(Forwarder& forwarder) {
  const std::vector<std::string> capabilities = forwarder.status().capabilities;
  const bool told =
      std::find(capabilities.begin(), capabilities.end(), "sched.preferred") != capabilities.end();
  CHECK_EQ(packet_thread_nice(), told ? -15 : 0);
}

void refuses_a_cpu_that_is_not_there() {
  ForwarderOptions options;
  options.workers = 2;
  options.cpus = {0, 1000};
  const auto forwarder = Forwarder::start(options);
  CHECK(!forwarder.ok());
  CHECK_EQ(forwarder.error().code, EINVAL);
  CHECK(forwarder.error().message().find("CPU 1000") != std::string::npos);
}

}  // namespace

int main() {
  if (!enter_own_namespace()) return kSkipped;
  for (const size_t workers : {size_t{1}, size_t{2}}) {
    ForwarderOptions options;
    options.ring_bytes = size_t{8} << 20;
    options.workers = workers;
    auto forwarder = Forwarder::start(options);
    CHECK(forwarder.ok());
    forwards_while_rules_change(*forwarder.value(), workers);
    keeps_counters_while_interfaces_are_away(*forwarder.value());
    refuses_what_is_named_twice(*forwarder.value());
    tells_whether_packets_go_first(*forwarder.value());
  }
  refuses_a_cpu_that_is_not_there();
}
