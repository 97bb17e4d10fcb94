// Fragments are put together again by a plain reassembler, and super-frames compared with the
// datagrams they stand for.
#include "packet/fragment.h"

#include <map>

#include "check.h"
#include "packet/rewrite.h"
#include "packet/segment.h"
#include "packets.h"

using namespace mcfleet;
using packets::Bytes;

namespace {

std::vector<Bytes> fragments(const Bytes& packet, size_t header, size_t mtu, bool dont_fragment) {
  std::vector<Bytes> result;
  Fragmenter fragmenter(packet.data(), header, packet.size(), mtu, 0x7777, dont_fragment);
  const size_t count = fragmenter.count();
  Bytes out(mtu);
  while (const size_t size = fragmenter.next(out.data())) {
    result.emplace_back(out.begin(), out.begin() + static_cast<long>(size));
  }
  CHECK_EQ(result.size(), count);
  return result;
}

void reassembles() {
  std::mt19937 random(6);
  for (int i = 0; i < 2000; i++) {
    const packets::Spec spec = packets::random_spec(random, 9000);
    const Bytes packet = packets::ip_packet(spec);
    const size_t header = 20 + spec.options.size();
    const size_t mtu = header + 8 + random() % 1500;
    Bytes payload;
    const std::vector<Bytes> parts = fragments(packet, header, mtu, random() % 2 == 0);
    for (size_t n = 0; n < parts.size(); n++) {
      const Bytes& part = parts[n];
      CHECK(part.size() <= mtu);
      CHECK(packets::ip_checksum_right(part.data()));
      CHECK_EQ(packets::get16(part.data() + 2), part.size());
      CHECK_EQ(packets::get16(part.data() + 4), 0x7777);
      const uint16_t flags = packets::get16(part.data() + 6);
      CHECK(((flags & 0x2000) != 0) == (n + 1 < parts.size()));
      CHECK_EQ((flags & 0x1fff) * 8U, payload.size());
      CHECK_EQ(part[8], spec.ttl);
      payload.insert(payload.end(), part.begin() + static_cast<long>(header), part.end());
    }
    CHECK(payload == Bytes(packet.begin() + static_cast<long>(header), packet.end()));
  }
}

void copies_options_by_their_flag() {
  packets::Spec spec;
  // Router alert (RFC 2113) is copied, record route (7) is not; then padding.
  spec.options = {148, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 0};
  spec.payload = Bytes(100, 1);
  const std::vector<Bytes> parts = fragments(packets::ip_packet(spec), 32, 80, true);
  CHECK_EQ(parts.size(), 3U);
  for (size_t n = 0; n < parts.size(); n++) {
    CHECK_EQ(parts[n][0], 0x48);
    CHECK_EQ(parts[n][20], 148);
    CHECK_EQ(parts[n][24], n == 0 ? 7 : 1);
    CHECK_EQ(packets::get16(parts[n].data() + 6) & 0x4000, 0x4000);
  }
}

void needs_room_for_eight_bytes() {
  const Bytes packet = packets::ip_packet({});
  CHECK(!Fragmenter(packet.data(), 20, packet.size(), 27, 1, false).possible());
  CHECK(Fragmenter(packet.data(), 20, packet.size(), 28, 1, false).possible());
  Bytes out(27);
  CHECK_EQ(Fragmenter(packet.data(), 20, packet.size(), 27, 1, false).next(out.data()), 0U);
}

void segments() {
  std::mt19937 random(7);
  for (int i = 0; i < 2000; i++) {
    packets::Spec spec = packets::random_spec(random, 0);
    spec.payload = packets::random_bytes(random, 2 + random() % 20000);
    const auto size = static_cast<uint16_t>(1 + spec.payload.size() / (2 + random() % 60));
    Bytes packet = packets::ip_packet(spec);
    const size_t header = 20 + spec.options.size();
    VnetHeader offload;
    offload.gso_type = kVnetGsoUdpL4;
    offload.gso_size = size;
    Datagram super;
    CHECK(parse_frame(packet.data(), packet.size(), packet.size(), 0, offload, super).status ==
          ParseStatus::kOk);
    if (super.segments < 2) continue;
    const Rewrite rewrite{0xef0a0a0a, 0x0a000001, 6001, 16};
    rewrite_datagram(packet.data(), super, rewrite);

    Segmenter segmenter(packet.data(), super);
    Datagram datagram;
    Bytes out(kMaxIpPacket);
    for (size_t n = 0, offset = 0; n < super.segments; n++) {
      CHECK(segmenter.next(out.data(), datagram));
      packets::Spec want = spec;
      want.destination = rewrite.destination;
      want.source = rewrite.source;
      want.destination_port = rewrite.port;
      want.ttl = rewrite.ttl;
      want.id = static_cast<uint16_t>(spec.id + n);
      const size_t end = std::min(offset + size, spec.payload.size());
      want.payload = Bytes(spec.payload.begin() + static_cast<long>(offset),
                           spec.payload.begin() + static_cast<long>(end));
      offset = end;
      CHECK(Bytes(out.begin(), out.begin() + datagram.ip_length) == packets::ip_packet(want));
      CHECK_EQ(datagram.ip_header, header);
      CHECK_EQ(datagram.segments, 1);
    }
    CHECK(!segmenter.next(out.data(), datagram));
  }
}

}  // namespace

int main() {
  reassembles();
  copies_options_by_their_flag();
  needs_room_for_eight_bytes();
  segments();
}
