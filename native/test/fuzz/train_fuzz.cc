// Rows of frames as they lie in a ring, made into trains and emitted to outputs of several kinds.
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

#include "forwarder/egress_ports.h"
#include "forwarder/emitter.h"
#include "forwarder/train.h"
#include "taken.h"

using namespace mcfleet;
using packets::Bytes;
using taken::cut;
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
  return std::make_shared<EgressPorts>(static_cast<int>(if_nametoindex(device)), request, 1);
}

struct Output {
  // To groups.
  Output(const char* device, TransmitRequest request)
      : ports(static_cast<int>(if_nametoindex(device)), request, 1) {
    find_socket();
  }
  // To a unicast address; nothing is known of its neighbour, so that packets take the raw socket.
  Output(const char* device, uint32_t destination)
      : ports(open_frames(device, TransmitRequest::kAuto), destination) {
    find_socket();
  }

  void find_socket() {
    RetiredSockets retired;
    port.refresh(retired);
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

// What residue() gives for a right checksum.
constexpr uint16_t kRight = 0xffff;

// What was added, and what is expected of it at each output: one datagram, or the segments of a
// super-frame.
struct Expected {
  Bytes packet;
  size_t ip_header;
  UdpChecksum checksum;
  bool any_id;
  // Its residue() shall be this.
  uint16_t residue;
};

struct Stage {
  std::deque<Output> outputs;
  Stage() {
    // Not to be seen by, and not to see, anything else.
    if (unshare(CLONE_NEWNET) < 0) {
      require(unshare(CLONE_NEWUSER | CLONE_NEWNET) == 0, "namespaces can be made");
    }
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
    for (const char* device : {"fz0", "fz1"}) {
      outputs.emplace_back(device, uint32_t{0x0a000001});
    }
  }
};

// Reads the input, and zeros when it is used up.
struct Input {
  const uint8_t* data;
  size_t size;
  uint8_t byte() {
    if (size == 0) return 0;
    size--;
    return *data++;
  }
  uint16_t word() {
    const unsigned high = byte();
    return static_cast<uint16_t>(high << 8 | byte());
  }
};

// One arriving frame: four words and a few bits decide.
struct Arriving {
  Bytes packet;
  VnetHeader offload{};
};

Arriving arriving(Input& input, size_t usual_size, size_t number) {
  const uint8_t kind = input.byte();
  const uint8_t flow = input.byte();
  const uint16_t own_size = input.word();
  const uint8_t at = input.byte();
  const uint8_t change = input.byte();
  packets::Spec spec;
  spec.source = 0x0a000000U + flow % 5;
  spec.source_port = static_cast<uint16_t>(4000 + flow / 64);
  spec.id = static_cast<uint16_t>(flow % 3 == 0 ? 0 : 77 + number);
  spec.flags = (kind & 8) != 0 ? 0x4000 : 0;
  if ((kind & 0x80) != 0) {
    spec.ttl = static_cast<uint8_t>(at % 4);
    spec.tos = static_cast<uint8_t>(at & 0xf0);
  }
  if ((kind & 0x70) == 0x10) spec.options = {7, 3, 4, 0x94, 4, 0, 0, 0};
  const bool super = (kind & 0x74) == 0x44;
  const size_t size = (kind & 0x70) == 0x20 ? own_size % 5000 : usual_size;
  spec.payload.resize(super ? own_size : size);
  for (size_t i = 0; i < spec.payload.size(); i++) {
    spec.payload[i] = static_cast<uint8_t>(number * 31U + i * 7 + (i >> 8));
  }
  if (spec.payload.size() >= 2) packets::put16(spec.payload.data(), number);
  Arriving made{packets::ip_packet(spec), {}};
  const size_t header = 20 + spec.options.size();
  uint8_t* udp = made.packet.data() + header;
  if ((kind & 0x70) == 0x30) {
    // Anything in the headers, the lengths included.
    made.packet[at % (header + kUdpHeader)] ^= change;
    const size_t length = size_t{made.packet[0] & 15U} * 4;
    if (length < 20 || length > made.packet.size()) return made;
    packets::set_ip_checksum(made.packet);
  } else if ((kind & 3) == 1) {
    packets::put16(udp + 6, packets::get16(udp + 6) ^ (1U + change));
  } else if ((kind & 3) == 2) {
    packets::put16(udp + 6, 0);
  } else if ((kind & 3) == 3) {
    made.offload.flags = kVnetNeedsChecksum;
    made.offload.csum_start = static_cast<uint16_t>(header);
    made.offload.csum_offset = 6;
    packets::put16(udp + 6,
                   packets::reference_pseudo_sum(made.packet.data(),
                                                 static_cast<uint16_t>(8 + spec.payload.size())));
  }
  if (super) {
    made.offload.gso_type = kVnetGsoUdpL4;
    made.offload.gso_size = static_cast<uint16_t>(usual_size);
    made.offload.hdr_len = static_cast<uint16_t>(header + kUdpHeader);
  }
  return made;
}

// As the rules say (RFC 791, RFC 768): what changes and what must not.
void check_rewritten(const Expected& before, const Taken::One& after, const Rewrite& rewrite) {
  Bytes wanted = before.packet;
  const uint8_t ttl = wanted[8];
  wanted[8] = rewrite.ttl != 0 ? rewrite.ttl : ttl > 1 ? static_cast<uint8_t>(ttl - 1) : uint8_t{1};
  if (rewrite.dscp != kKeepDscp) {
    wanted[1] = static_cast<uint8_t>((wanted[1] & 3) | rewrite.dscp << 2);
  }
  if (rewrite.source != 0) packets::put32(wanted.data() + 12, rewrite.source);
  packets::put32(wanted.data() + 16, rewrite.destination);
  uint8_t* udp = wanted.data() + before.ip_header;
  if (rewrite.source_port != 0) packets::put16(udp, rewrite.source_port);
  if (rewrite.port != 0) packets::put16(udp + 2, rewrite.port);
  require(after.packet.size() == wanted.size(), "a datagram keeps its size");
  const uint16_t checksum = packets::get16(after.packet.data() + before.ip_header + 6);
  packets::put16(udp + 6, checksum);
  if (before.any_id || after.any_id) {
    packets::put16(wanted.data() + 4, packets::get16(after.packet.data() + 4));
  }
  if (after.fragmented) packets::put16(wanted.data() + 6, 0);
  packets::set_ip_checksum(wanted);
  require(wanted == after.packet, "headers are rewritten and the payload is not");
  if (before.checksum == UdpChecksum::kNone) {
    require(checksum == 0, "no checksum stays none");
    return;
  }
  require(checksum != 0, "a checksum stays one");
  require(residue(after.packet, before.ip_header) == before.residue,
          "a right checksum stays right and a wrong one wrong");
}

void expect(std::vector<Expected>& expected, const Bytes& ip, const Datagram& datagram) {
  Bytes packet(ip.begin(), ip.begin() + datagram.ip_length);
  if (datagram.segments == 1) {
    const uint16_t arrived =
        datagram.checksum == UdpChecksum::kFinished ? residue(packet, datagram.ip_header) : kRight;
    expected.push_back({packet, datagram.ip_header, datagram.checksum, false, arrived});
    return;
  }
  const size_t payload = datagram.udp_length - kUdpHeader;
  for (size_t offset = 0; offset < payload; offset += datagram.segment_size) {
    const size_t size = std::min<size_t>(datagram.segment_size, payload - offset);
    expected.push_back({cut(packet, datagram.ip_header, offset, size), datagram.ip_header,
                        UdpChecksum::kFinished, true, kRight});
  }
}

struct Burst {
  std::span<const OutputAction> actions;
  std::deque<OutputCounters>& counters;
  std::deque<Output>& outputs;
};

// What left is what was expected: all of it in order, but for what no socket took and what is too
// long for the link, which is accounted.
void check(const Burst& burst, const std::vector<Expected>& expected) {
  for (size_t i = 0; i < burst.actions.size(); i++) {
    const Output& output = burst.outputs[i];
    const Rewrite& rewrite = burst.actions[i].rewrite;
    uint64_t drops = 0;
    for (size_t reason = 0; reason < kDropReasonCount; reason++) {
      drops += burst.counters[i].drops.get(static_cast<DropReason>(reason));
    }
    const uint64_t packets_sent = burst.counters[i].packets.get();
    require(packets_sent + drops == expected.size(), "each copy is accounted once");
    if (refuse_every != 0) continue;
    const bool raw = output.port.kind() == EgressPort::Kind::kPackets;
    Taken taken(!raw, output.port.link().mtu, rewrite.destination);
    for (const Sent& sent : sent_by_socket[output.socket]) taken.take(sent);
    require(!taken.unfinished() && taken.datagrams.size() == packets_sent, "counted is what left");
    size_t next = 0;
    for (const Expected& one : expected) {
      const bool too_long = one.packet.size() > output.port.link().mtu;
      const bool no_source =
          raw && rewrite.source == 0 && packets::get32(one.packet.data() + 12) == 0;
      if (drops > 0 && (too_long || no_source)) {
        // Dropped or not, by the rules of fragmentation: what leaves next tells.
        const auto payload = static_cast<long>(one.ip_header + kUdpHeader);
        const bool left = !no_source && next < taken.datagrams.size() &&
                          taken.datagrams[next].packet.size() == one.packet.size() &&
                          std::equal(one.packet.begin() + payload, one.packet.end(),
                                     taken.datagrams[next].packet.begin() + payload);
        if (!left) {
          drops--;
          continue;
        }
      }
      require(next < taken.datagrams.size(), "what fits leaves");
      check_rewritten(one, taken.datagrams[next++], rewrite);
    }
    require(next == taken.datagrams.size() && drops == 0, "nothing else leaves");
  }
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
    if (header.msg_name != nullptr) {
      sent.destination = ntohl(static_cast<const sockaddr_in*>(header.msg_name)->sin_addr.s_addr);
    }
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
  refuse_every = input.byte() % 8;
  messages_seen = 0;
  std::deque<OutputCounters> counters;
  std::vector<OutputAction> actions;
  for (Output& output : stage.outputs) {
    const uint8_t what = input.byte();
    Rewrite rewrite;
    rewrite.destination = 0xef000000U | input.word();
    if ((what & 1) != 0) rewrite.source = input.word();
    if ((what & 2) != 0) rewrite.port = input.word();
    if ((what & 4) != 0) rewrite.ttl = input.byte();
    if ((what & 8) != 0) rewrite.source_port = input.word();
    if ((what & 16) != 0) rewrite.dscp = input.byte() >> 2;
    actions.push_back({rewrite, &output.ports, &counters.emplace_back(), (what & 32) != 0});
  }

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
    emitter.emit(actions, train, input_mtu);
  };
  const auto end_burst = [&] {
    trains.leave_all(leave);
    require(waiting.empty(), "all leave at the end of a burst");
    emitter.flush();
    check({actions, counters, stage.outputs}, expected);
    expected.clear();
    ring.clear();
    sent_by_socket.clear();
    counters.clear();
    for (OutputAction& action : actions) action.counters = &counters.emplace_back();
  };

  sent_by_socket.clear();
  size_t bytes = 0;
  for (size_t frames = 0; input.size > 0 && frames < kMostFrames && bytes < kMostBytes;) {
    const uint8_t often = input.byte();
    Input same = input;
    for (unsigned i = 0; i <= often % 32U && bytes < kMostBytes; i++, frames++) {
      same = input;
      Arriving arrived = arriving(same, usual_size, frames);
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
