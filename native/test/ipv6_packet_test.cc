// Parsing, rewriting and segmenting of IPv6 datagrams, against a reference that builds everything
// anew.
#include "check.h"
#include "forwarder/train.h"
#include "ipv6_packets.h"
#include "packet/parse.h"
#include "packet/rewrite.h"
#include "packet/segment.h"

using namespace mcfleet;
using packets::Bytes;
namespace v6 = packets::ipv6;

namespace {

constexpr int kRounds = 20000;

ParseResult parse(const Bytes& frame, Datagram& datagram, const VnetHeader& offload = {},
                  size_t link_header = 14) {
  return parse_frame(frame.data(), frame.size(), frame.size(), link_header, offload, datagram);
}

Datagram parsed(const Bytes& packet, const VnetHeader& offload = {}) {
  Datagram datagram;
  CHECK(parse(packet, datagram, offload, 0).status == ParseStatus::kOk);
  return datagram;
}

std::string dropped(const Bytes& packet, const VnetHeader& offload = {}) {
  Datagram datagram;
  const ParseResult result = parse(v6::frame(packet), datagram, offload);
  return result.status == ParseStatus::kDrop ? drop_reason_name(result.reason) : "";
}

VnetHeader partial_at(size_t start) {
  VnetHeader offload;
  offload.flags = kVnetNeedsChecksum;
  offload.csum_start = static_cast<uint16_t>(start);
  offload.csum_offset = 6;
  return offload;
}

Bytes changed(size_t offset, uint8_t value, const v6::Spec& spec = {}) {
  Bytes packet = v6::ip_packet(spec);
  packet[offset] = value;
  return packet;
}

void reads_fields() {
  std::mt19937 random(20);
  for (int i = 0; i < kRounds; i++) {
    const v6::Spec spec = v6::random_spec(random, 60);
    const Bytes packet = v6::ip_packet(spec);
    Bytes frame = v6::frame(packet);
    frame.resize(frame.size() + random() % 20);  // padding
    Datagram datagram;
    CHECK(parse(frame, datagram).status == ParseStatus::kOk);
    CHECK(datagram.ipv6 && !datagram.dont_fragment);
    CHECK_EQ(datagram.source_port, spec.source_port);
    CHECK_EQ(datagram.destination_port, spec.destination_port);
    CHECK_EQ(datagram.ip_header, v6::header_size(spec));
    CHECK_EQ(datagram.ip_length, packet.size());
    CHECK_EQ(datagram.udp_length, 8 + spec.payload.size());
    CHECK_EQ(datagram.ttl, spec.hop_limit);
    CHECK(datagram.source != 0 && datagram.destination != 0);
    CHECK(datagram.checksum == UdpChecksum::kFinished);
  }
  v6::Spec spec;
  spec.source = {};
  CHECK_EQ(parsed(v6::ip_packet(spec)).source, 0U);
}

void names_what_is_wrong() {
  CHECK(dropped(changed(0, 0x40)) == "malformed_ip_version");
  CHECK(dropped(changed(5, 200)) == "malformed_ip_length");
  CHECK(dropped(changed(5, 7)) == "malformed_udp_length");
  CHECK(dropped(changed(45, 7)) == "malformed_udp_length");
  CHECK(dropped(changed(45, 14)) == "malformed_udp_length");
  CHECK(dropped(v6::cut(v6::ip_packet({}), 0, 8)) == "fragment");
  CHECK(dropped(changed(6, 43)) == "extension_header");
  v6::Spec options;
  options.extensions = {{v6::kHopByHop}};
  // Longer than the packet, and longer than any that are taken.
  CHECK(dropped(changed(41, 3, options)) == "malformed_ip_header_length");
  CHECK(dropped(changed(41, 8, options)) == "extension_header");
  CHECK(dropped(changed(40, v6::kHopByHop, options)) == "extension_header");
  CHECK(dropped(changed(40, v6::kRouting, options)) == "extension_header");
  options.extensions = {{v6::kHopByHop, 4}, {v6::kDestinationOptions, 4}};
  CHECK(dropped(v6::ip_packet(options)).empty());
  options.extensions = {{v6::kHopByHop, 4}, {v6::kDestinationOptions, 5}};
  CHECK(dropped(v6::ip_packet(options)) == "extension_header");
  // A fragment header that is cut off, and a fragment of something else.
  Bytes cut = changed(6, 44);
  packets::put16(cut.data() + 4, 7);
  CHECK(dropped(cut) == "malformed_ip_header_length");
  const Bytes whole = v6::frame(v6::ip_packet({}));
  Datagram datagram;
  for (size_t size = 0; size < whole.size(); size++) {
    const Bytes part(whole.begin(), whole.begin() + static_cast<long>(size));
    CHECK(parse(part, datagram).status == ParseStatus::kDrop);
  }
}

void leaves_other_protocols() {
  Datagram datagram;
  CHECK(parse(v6::frame(changed(6, 58)), datagram).status == ParseStatus::kNotUdp);
  CHECK(parse(v6::frame(changed(6, 6)), datagram).status == ParseStatus::kNotUdp);
  v6::Spec options;
  options.extensions = {{v6::kHopByHop}};
  CHECK(parse(v6::frame(changed(40, 58, options)), datagram).status == ParseStatus::kNotUdp);
  const Bytes tcp = v6::cut(changed(6, 6), 0, 8);
  CHECK(parse(v6::frame(tcp), datagram).status == ParseStatus::kNotUdp);
  // Without an Ethernet header the version tells.
  CHECK(parse(v6::ip_packet({}), datagram, {}, 0).status == ParseStatus::kOk);
  CHECK(datagram.ipv6);
}

struct Given {
  Rewrite rewrite;
  Ipv6Addresses addresses;
};

template <typename Random>
void fill(Random& random, Given& given) {
  given.addresses.destination = v6::random_address(random);
  given.addresses.keep_source = random() % 2 == 0;
  if (!given.addresses.keep_source) given.addresses.source = v6::random_address(random);
  Rewrite& rewrite = given.rewrite;
  rewrite.ipv6 = &given.addresses;
  if (random() % 2 == 0) rewrite.port = static_cast<uint16_t>(random());
  if (random() % 2 == 0) rewrite.ttl = static_cast<uint8_t>(random());
  if (random() % 2 == 0) rewrite.source_port = static_cast<uint16_t>(random());
  if (random() % 2 == 0) rewrite.dscp = static_cast<uint8_t>(random() % 64);
}

v6::Spec expected(const v6::Spec& spec, const Given& given) {
  v6::Spec result = spec;
  const Rewrite& rewrite = given.rewrite;
  result.destination = given.addresses.destination;
  if (!given.addresses.keep_source) result.source = given.addresses.source;
  if (rewrite.port != 0) result.destination_port = rewrite.port;
  if (rewrite.source_port != 0) result.source_port = rewrite.source_port;
  if (rewrite.dscp != kKeepDscp) {
    result.traffic_class = static_cast<uint8_t>(rewrite.dscp * 4 + spec.traffic_class % 4);
  }
  result.hop_limit = rewrite.ttl != 0
                         ? rewrite.ttl
                         : static_cast<uint8_t>(spec.hop_limit > 1 ? spec.hop_limit - 1 : 1);
  return result;
}

void rewrites() {
  std::mt19937 random(21);
  for (int i = 0; i < kRounds; i++) {
    const v6::Spec spec = v6::random_spec(random, 60);
    Given given;
    fill(random, given);
    const Bytes want = v6::ip_packet(expected(spec, given));
    const size_t header = v6::header_size(spec);

    Bytes finished = v6::ip_packet(spec);
    CHECK(finished_checksum_is_right(finished.data(), parsed(finished)));
    rewrite_datagram(finished.data(), parsed(Bytes(finished)), given.rewrite);
    CHECK(finished == want);

    // Partial: the field holds the pseudo-header's sum, before and afterwards.
    Bytes partial = v6::ip_packet(spec);
    const auto length = static_cast<uint16_t>(8 + spec.payload.size());
    packets::put16(partial.data() + header + 6, v6::reference_pseudo_sum(partial.data(), length));
    const Datagram datagram = parsed(partial, partial_at(header));
    rewrite_datagram(partial.data(), datagram, given.rewrite);
    CHECK_EQ(packets::get16(partial.data() + header + 6) % 0xffff,
             v6::reference_pseudo_sum(want.data(), length) % 0xffff);
    finish_checksum(partial.data(), datagram);
    CHECK(partial == want);

    // A wrong one stays wrong, none stays none.
    Bytes wrong = v6::ip_packet(spec);
    wrong[header + 7] ^= 0x55;
    if (packets::get16(wrong.data() + header + 6) != 0) {
      rewrite_datagram(wrong.data(), parsed(Bytes(wrong)), given.rewrite);
      CHECK(!finished_checksum_is_right(wrong.data(), parsed(wrong)));
    }
    Bytes none = v6::ip_packet(spec);
    packets::put16(none.data() + header + 6, 0);
    rewrite_datagram(none.data(), parsed(Bytes(none)), given.rewrite);
    CHECK_EQ(packets::get16(none.data() + header + 6), 0);
  }
}

void names_group_stations() {
  const v6::Address group = v6::address({0xff, 0x3e}, 0x8001020f);
  uint8_t mac[6];
  ipv6_group_mac(group.data(), mac);
  CHECK(Bytes(mac, mac + 6) == (Bytes{0x33, 0x33, 0x80, 0x01, 0x02, 0x0f}));
}

void segments() {
  std::mt19937 random(22);
  size_t cut = 0;
  for (int i = 0; i < 2000; i++) {
    v6::Spec spec = v6::random_spec(random, 0);
    spec.payload = packets::random_bytes(random, 2 + random() % 20000);
    VnetHeader offload;
    offload.gso_type = kVnetGsoUdpL4;
    offload.gso_size = static_cast<uint16_t>(1 + spec.payload.size() / (2 + random() % 60));
    Bytes packet = v6::ip_packet(spec);
    const Datagram super = parsed(packet, offload);
    if (super.segments < 2) continue;
    Given given;
    fill(random, given);
    rewrite_datagram(packet.data(), super, given.rewrite);
    Segmenter segmenter(packet.data(), super);
    Datagram datagram;
    Bytes out(kMaxIpPacket);
    for (size_t n = 0, offset = 0; n < super.segments; n++, cut++) {
      CHECK(segmenter.next(out.data(), datagram));
      v6::Spec want = expected(spec, given);
      const size_t end = std::min(offset + offload.gso_size, spec.payload.size());
      want.payload = Bytes(spec.payload.begin() + static_cast<long>(offset),
                           spec.payload.begin() + static_cast<long>(end));
      offset = end;
      CHECK(Bytes(out.begin(), out.begin() + datagram.ip_length) == v6::ip_packet(want));
    }
    CHECK(!segmenter.next(out.data(), datagram));
  }
  CHECK(cut > 10000);
}

// What leaves in trains is what came: cut again, they give the datagrams.
void trains_hold_what_came() {
  std::mt19937 random(23);
  size_t merged = 0;
  for (int round = 0; round < 200; round++) {
    v6::Spec spec = v6::random_spec(random, 0);
    if (random() % 4 != 0) spec.extensions.clear();
    const size_t size = 1 + random() % 500;
    std::vector<Bytes> packets;
    for (size_t i = 0; i < 30; i++) {
      if (random() % 10 == 0) spec.flow_label ^= 1;
      // Another address that differs in one bit: never in one train.
      if (random() % 10 == 0) spec.source[random() % 16] ^= 1;
      spec.payload = packets::random_bytes(random, random() % 10 == 0 ? size / 2 + 1 : size);
      packets.push_back(v6::ip_packet(spec));
    }
    std::vector<Bytes> left;
    const auto leave = [&](const Train& train) {
      Bytes super(train.headers());
      train.write_headers(super.data());
      const Datagram datagram = train.merged();
      super.resize(train.headers() + datagram.udp_length - 8U);
      train.write_payload(super.data() + train.headers());
      if (train.size() == 1) {
        left.emplace_back(train.packet(0), train.packet(0) + datagram.ip_length);
        return;
      }
      merged += train.size();
      CHECK_EQ(packets::get16(super.data() + 4), super.size() - 40);
      Segmenter segmenter(super.data(), datagram);
      Datagram each;
      Bytes out(kMaxIpPacket);
      while (segmenter.next(out.data(), each)) {
        left.emplace_back(out.begin(), out.begin() + each.ip_length);
      }
    };
    // What leaves is what came: nobody writes an identification where IPv6 has its lengths.
    const std::vector<Bytes> given = packets;
    Trains trains;
    for (Bytes& packet : packets) {
      Datagram datagram = parsed(packet);
      trains.add(datagram, packet.data(), 1, false, leave);
    }
    trains.leave_all(leave);
    CHECK(packets == given);
    // Flows may overtake each other: compare as sets, and the order within each flow.
    const auto flow = [](const Bytes& packet) {
      return Bytes(packet.begin() + 8, packet.begin() + 40);
    };
    for (const Bytes& packet : packets) {
      std::vector<Bytes> came;
      std::vector<Bytes> went;
      for (const Bytes& other : packets)
        if (flow(other) == flow(packet)) came.push_back(other);
      for (const Bytes& other : left)
        if (flow(other) == flow(packet)) went.push_back(other);
      CHECK(came == went);
    }
    CHECK_EQ(left.size(), packets.size());
  }
  CHECK(merged > 1000);
}

}  // namespace

int main() {
  reads_fields();
  names_what_is_wrong();
  leaves_other_protocols();
  rewrites();
  names_group_stations();
  segments();
  trains_hold_what_came();
}
