// Rows of frames of both families as they lie in a ring, made into trains and emitted to outputs of
// several kinds.
// What the sockets are given is taken apart as a device would, and compared with what was added:
// every datagram once for each output and in order, rewritten, its checksum right where it was
// right and wrong where it was wrong. Links and sockets are real, in a network namespace of its
// own: it needs root or user namespaces, and ip(8).
#include <net/if.h>
#include <sched.h>

#include <cstdlib>
#include <cstring>
#include <deque>
#include <map>
#include <memory>

#include "arriving.h"
#include "expected.h"
#include "forwarder/egress_ports.h"
#include "forwarder/emitter.h"
#include "forwarder/train.h"
#include "ring/packet_socket.h"
#include "taken.h"

using namespace mcfleet;
using namespace mcfleet::fuzz;
using packets::Bytes;
using taken::require;
using taken::residue;
using taken::Sent;
using taken::Taken;

namespace {

std::map<int, std::deque<Sent>> sent_by_socket;
// Every so many messages the socket refuses one; 0: none.
unsigned refuse_every = 0;
unsigned messages_seen = 0;

// Of one worker.
std::shared_ptr<EgressPorts> open_frames(const char* device, TransmitRequest request) {
  return std::make_shared<EgressPorts>(static_cast<int>(if_nametoindex(device)), request,
                                       std::make_shared<PerWorker<RefusalCounters>>(1));
}

struct Output {
  // To groups.
  Output(const char* device, TransmitRequest request)
      : ports(static_cast<int>(if_nametoindex(device)), request,
              std::make_shared<PerWorker<RefusalCounters>>(1)) {
    find_socket();
  }
  // To a unicast address; nothing is known of its neighbour, so that packets take the raw socket.
  Output(const char* device, const IpAddress& destination)
      : ports(open_frames(device, TransmitRequest::kAuto), destination,
              std::make_shared<PerWorker<SegmentCounters>>(1)) {
    find_socket();
  }

  void find_socket() {
    RetiredSockets retired;
    port.refresh(UnsafeQueues(), retired);
    require(retired.plain.empty() && port.link().state == LinkState::kUp, "the link is up");
    // One message tells which socket is this port's.
    sent_by_socket.clear();
    std::memset(port.batch().reserve(1), 0, 1);
    OutputCounters unused;
    port.batch().commit(1, 0, {&unused, 1, 1, true});
    port.flush();
    require(sent_by_socket.size() == 1, "a port has a socket");
    socket = sent_by_socket.begin()->first;
  }

  EgressPorts ports;
  EgressPort& port = ports.of(0);
  int socket = -1;
};

// As a test that is skipped says it.
[[noreturn]] void cannot_run(const char* why) {
  std::printf("skipped: %s\n", why);
  std::exit(77);
}

// To groups: of both families. To unicast addresses: some for each.
constexpr size_t kGroupOutputs = 5;
constexpr size_t kUnicastOutputs = 2;

struct Stage {
  std::deque<Output> outputs;
  Stage() {
    // Not to be seen by, and not to see, anything else.
    if (unshare(CLONE_NEWNET) < 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) < 0) {
      cannot_run("no network namespace can be made");
    }
    if (!kernel_speaks_ipv6()) cannot_run("the kernel has no IPv6");
    const char* const links =
        "ip link add name fz0 mtu 1500 type veth peer name fz1 mtu 600 && "
        "ip link add name fz2 mtu 65535 type veth peer name fz3 mtu 200 && "
        "for i in 0 1 2 3; do ip link set fz$i up || exit 1; done";
    require(std::system(links) == 0, "ip(8) makes links");
    using enum TransmitRequest;
    for (const char* device : {"fz0", "fz1", "fz2"}) {
      outputs.emplace_back(device, kGso);
    }
    for (const char* device : {"fz0", "fz3"}) {
      outputs.emplace_back(device, kSendmmsg);
    }
    const uint8_t host6[16] = {0xfd, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1};
    for (const IpAddress& host : {IpAddress(0x0a000001), IpAddress::ipv6(host6)}) {
      for (const char* device : {"fz0", "fz1"}) outputs.emplace_back(device, host);
    }
  }
};

// What one output does with the datagrams of one family.
struct Way {
  Rewrite rewrite;
  Ipv6Addresses ipv6;
};

// The outputs of one family, as a rule names them.
struct Family {
  std::vector<size_t> outputs;
  std::deque<Way> ways;
  std::vector<OutputAction> actions;
};

struct Burst {
  const Family& ipv4;
  const Family& ipv6;
  std::deque<OutputCounters>& counters;
  std::deque<Output>& outputs;

  // Null: this output is of the other family.
  static const Rewrite* rewrite_of(const Family& family, size_t output) {
    for (size_t i = 0; i < family.outputs.size(); i++) {
      if (family.outputs[i] == output) return &family.ways[i].rewrite;
    }
    return nullptr;
  }
};

IpAddress destination_of(const Rewrite* rewrite) {
  if (rewrite == nullptr) return {};
  if (rewrite->ipv6 == nullptr) return rewrite->destination;
  return IpAddress::ipv6(rewrite->ipv6->destination.data());
}

bool has_source(const Bytes& packet) {
  return taken::is_ipv6(packet)
             ? std::any_of(packet.begin() + 8, packet.begin() + 24, [](auto b) { return b != 0; })
             : packets::get32(packet.data() + 12) != 0;
}

// What left is what was expected: all of it in order, but for what no socket took and what is too
// long for the link, which is accounted.
void check(const Burst& burst, const std::vector<Expected>& all) {
  for (size_t i = 0; i < burst.outputs.size(); i++) {
    const Output& output = burst.outputs[i];
    const Rewrite* ipv4 = Burst::rewrite_of(burst.ipv4, i);
    const Rewrite* ipv6 = Burst::rewrite_of(burst.ipv6, i);
    std::vector<const Expected*> expected;
    for (const Expected& one : all) {
      if ((taken::is_ipv6(one.packet) ? ipv6 : ipv4) != nullptr) expected.push_back(&one);
    }
    uint64_t drops = 0;
    for (size_t reason = 0; reason < kDropReasonCount; reason++) {
      drops += burst.counters[i].drops.get(static_cast<DropReason>(reason));
    }
    const uint64_t packets_sent = burst.counters[i].packets.get();
    require(packets_sent + drops == expected.size(), "each copy is accounted once");
    if (refuse_every != 0) continue;
    const bool raw = output.port.kind() == EgressPort::Kind::kPackets;
    Taken taken(!raw, output.port.link().mtu, destination_of(ipv4), destination_of(ipv6));
    for (const Sent& sent : sent_by_socket[output.socket]) taken.take(sent);
    require(!taken.unfinished() && taken.datagrams.size() == packets_sent, "counted is what left");
    size_t next = 0;
    for (const Expected* one : expected) {
      const Rewrite& rewrite = taken::is_ipv6(one->packet) ? *ipv6 : *ipv4;
      const bool too_long = one->packet.size() > output.port.link().mtu;
      const bool no_source = raw && rewrite.keeps_source() && !has_source(one->packet);
      if (drops > 0 && (too_long || no_source)) {
        // Dropped or not, by the rules of fragmentation: what leaves next tells.
        const auto payload = static_cast<long>(one->ip_header + kUdpHeader);
        const bool left = !no_source && next < taken.datagrams.size() &&
                          taken.datagrams[next].packet.size() == one->packet.size() &&
                          std::equal(one->packet.begin() + payload, one->packet.end(),
                                     taken.datagrams[next].packet.begin() + payload);
        if (!left) {
          drops--;
          continue;
        }
      }
      require(next < taken.datagrams.size(), "what fits leaves");
      check_rewritten(*one, taken.datagrams[next++], rewrite);
    }
    require(next == taken.datagrams.size() && drops == 0, "nothing else leaves");
  }
}

IpAddress destination_of(const sockaddr* name) {
  if (name == nullptr) return {};
  if (name->sa_family == AF_INET6) {
    return IpAddress::ipv6(reinterpret_cast<const sockaddr_in6*>(name)->sin6_addr.s6_addr);
  }
  return ntohl(reinterpret_cast<const sockaddr_in*>(name)->sin_addr.s_addr);
}

// What the input says of one output, for both families.
struct Choice {
  Rewrite rewrite;
  uint16_t group = 0;
  uint16_t source = 0;
  bool drop_oversize = false;
};

Choice choose(Input& input) {
  const uint8_t what = input.byte();
  Choice choice;
  choice.group = input.word();
  if ((what & 1) != 0) choice.source = input.word();
  if ((what & 2) != 0) choice.rewrite.port = input.word();
  if ((what & 4) != 0) choice.rewrite.ttl = input.byte();
  if ((what & 8) != 0) choice.rewrite.source_port = input.word();
  if ((what & 16) != 0) choice.rewrite.dscp = input.byte() >> 2;
  choice.drop_oversize = (what & 32) != 0;
  return choice;
}

// `counters` and `outputs` by the same numbers.
void add_output(Family& family, size_t output, const Choice& choice, bool ipv6,
                std::deque<Output>& outputs) {
  Way& way = family.ways.emplace_back();
  way.rewrite = choice.rewrite;
  way.rewrite.destination = 0xef000000U | choice.group;
  way.rewrite.source = choice.source;
  if (ipv6) {
    way.ipv6.destination = {0xff, 0x3e};
    packets::put16(way.ipv6.destination.data() + 14, choice.group);
    way.ipv6.keep_source = choice.source == 0;
    way.ipv6.source = {0xfd, 3};
    packets::put16(way.ipv6.source.data() + 14, choice.source);
    way.rewrite.ipv6 = &way.ipv6;
  }
  family.outputs.push_back(output);
  family.actions.push_back({way.rewrite, &outputs[output].ports, nullptr, choice.drop_oversize});
}

}  // namespace

// In place of the C library's: nothing leaves this process.
extern "C" int sendmmsg(int socket, mmsghdr* messages, unsigned count, int) {
  for (unsigned i = 0; i < count; i++) {
    if (refuse_every != 0 && ++messages_seen % refuse_every == 0) {
      if (i > 0) return static_cast<int>(i);
      constexpr int kErrors[] = {ENOBUFS, EMSGSIZE, EAGAIN, ENETDOWN};
      errno = kErrors[messages_seen / refuse_every % std::size(kErrors)];
      return -1;
    }
    const msghdr& header = messages[i].msg_hdr;
    Sent sent;
    for (size_t j = 0; j < header.msg_iovlen; j++) {
      const auto* from = static_cast<const uint8_t*>(header.msg_iov[j].iov_base);
      sent.bytes.insert(sent.bytes.end(), from, from + header.msg_iov[j].iov_len);
    }
    sent.destination = destination_of(static_cast<const sockaddr*>(header.msg_name));
    sent_by_socket[socket].push_back(std::move(sent));
  }
  return static_cast<int>(count);
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kMostBytes = 100'000;
  constexpr size_t kMostFrames = 160;
  static Stage stage;
  static Emitter emitter(0, 1);
  Input input{data, size};
  const uint32_t input_mtu = input.word();
  const size_t usual_size = input.word() % 1500U;
  const uint8_t first = input.byte();
  refuse_every = first % 8;
  const Families families = (first & 0x80) != 0   ? Families::kIpv6
                            : (first & 0x40) != 0 ? Families::kBoth
                                                  : Families::kIpv4;
  messages_seen = 0;
  std::deque<OutputCounters> counters(stage.outputs.size());
  Family ipv4;
  Family ipv6;
  for (size_t i = 0; i < kGroupOutputs + kUnicastOutputs; i++) {
    const Choice choice = choose(input);
    add_output(ipv4, i, choice, false, stage.outputs);
    const size_t other = i < kGroupOutputs ? i : i + kUnicastOutputs;
    add_output(ipv6, other, choice, true, stage.outputs);
  }
  const auto count_anew = [&] {
    counters.clear();
    counters.resize(stage.outputs.size());
    for (Family* family : {&ipv4, &ipv6}) {
      for (size_t i = 0; i < family->actions.size(); i++) {
        family->actions[i].counters = &counters[family->outputs[i]];
      }
    }
  };
  count_anew();

  // As in a ring: what is emitted stays where it is.
  std::deque<Bytes> ring;
  std::map<const uint8_t*, Datagram> waiting;
  std::vector<Expected> expected;
  Trains trains;
  const auto leave = [&](const Train& train) {
    for (size_t i = 0; i < train.size(); i++) {
      const auto found = waiting.find(train.packet(i));
      require(found != waiting.end(), "each leaves once");
      const Bytes packet(found->first, found->first + found->second.ip_length);
      expect(expected, packet, found->second);
      waiting.erase(found);
    }
    emitter.emit(train.first().ipv6 ? ipv6.actions : ipv4.actions, train, input_mtu, false);
  };
  const auto end_burst = [&] {
    trains.leave_all(leave);
    require(waiting.empty(), "all leave at the end of a burst");
    emitter.flush();
    check({ipv4, ipv6, counters, stage.outputs}, expected);
    expected.clear();
    ring.clear();
    sent_by_socket.clear();
    count_anew();
  };

  sent_by_socket.clear();
  size_t bytes = 0;
  for (size_t frames = 0; input.size > 0 && frames < kMostFrames && bytes < kMostBytes;) {
    const uint8_t often = input.byte();
    Input same = input;
    for (unsigned i = 0; i <= often % 32U && bytes < kMostBytes; i++, frames++) {
      same = input;
      Arriving arrived = arriving(same, usual_size, frames, families);
      Datagram datagram;
      Bytes& frame = ring.emplace_back(std::move(arrived.packet));
      bytes += frame.size() + 100;
      const ParseResult parsed =
          parse_frame(frame.data(), frame.size(), frame.size(), 0, arrived.offload, datagram);
      if (parsed.status != ParseStatus::kOk) continue;
      waiting.emplace(frame.data(), datagram);
      trains.add(datagram, frame.data(), frames, false, leave);
    }
    input = same;
    if ((often & 0x80) != 0) end_burst();
  }
  end_burst();
  return 0;
}
