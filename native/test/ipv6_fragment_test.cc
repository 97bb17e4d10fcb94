// IPv6 fragments: what the fragmenter cuts, and what is cut by hand, is put together again.
#include "packet/ipv6_fragment.h"

#include <optional>

#include "check.h"
#include "ipv6_packets.h"
#include "packet/parse.h"
#include "packet/reassembler.h"
#include "reassembled.h"

using namespace mcfleet;
using packets::Bytes;
namespace v6 = packets::ipv6;

namespace {

constexpr size_t kLink = 14;
constexpr uint64_t kSecond = 1'000'000'000;

std::optional<Bytes> feed(Reassembler& reassembler, const Bytes& part, uint32_t given_up = 0,
                          uint16_t vlan = 0) {
  const Bytes frame = v6::frame(part);
  Datagram datagram;
  const ParseResult parsed =
      parse_frame(frame.data(), frame.size(), frame.size(), kLink, {}, datagram);
  CHECK(parsed.status == ParseStatus::kDrop && parsed.reason == DropReason::kFragment);
  const Reassembler::Result result = reassembler.add(frame.data(), vlan, kSecond);
  CHECK_EQ(result.given_up, given_up);
  return packets::written(reassembler, result, frame);
}

// Fragments as the fragmenter makes them, each checked by itself.
std::vector<Bytes> cut_all(const Bytes& packet, size_t mtu, uint32_t id) {
  Ipv6Fragmenter fragmenter(packet.data(), packet.size(), mtu, id);
  CHECK(fragmenter.possible());
  std::vector<Bytes> parts;
  Bytes out(mtu);
  while (const size_t size = fragmenter.next(out.data())) {
    CHECK(size <= mtu);
    CHECK_EQ(packets::get16(out.data() + 4), size - 40);
    parts.emplace_back(out.begin(), out.begin() + static_cast<long>(size));
  }
  CHECK_EQ(parts.size(), fragmenter.count());
  return parts;
}

void gives_what_was_cut() {
  std::mt19937 random(30);
  Reassembler reassembler(kLink);
  for (int i = 0; i < 500; i++) {
    // Several datagrams at once, their fragments in any order, some twice before the last came.
    std::vector<Bytes> packets;
    std::vector<std::pair<size_t, Bytes>> parts;
    for (size_t n = 0; n < 1 + random() % 5; n++) {
      v6::Spec spec = v6::random_spec(random, random() % 8 == 0 ? 65400 : 9000);
      spec.payload.resize(std::max<size_t>(spec.payload.size(), 100));
      packets.push_back(v6::ip_packet(spec));
      for (Bytes& part : cut_all(packets[n], 112 + random() % 1400, static_cast<uint32_t>(n))) {
        if (random() % 8 == 0) parts.emplace_back(n, part);
        parts.emplace_back(n, std::move(part));
      }
    }
    std::shuffle(parts.begin(), parts.end(), random);
    std::vector<size_t> done(packets.size());
    for (const auto& [n, part] : parts) {
      // A repeated fragment of a datagram that is complete would begin another one.
      if (done[n] != 0) continue;
      const auto whole = feed(reassembler, part);
      if (!whole.has_value()) continue;
      CHECK(*whole == packets[n]);
      done[n]++;
    }
    for (const size_t times : done) CHECK_EQ(times, 1U);
  }
}

void repeats_options_for_hops_only() {
  v6::Spec spec;
  spec.extensions = {{v6::kHopByHop, 2}, {v6::kDestinationOptions, 1}};
  spec.payload = Bytes(3000, 5);
  const Bytes packet = v6::ip_packet(spec);
  const std::vector<Bytes> parts = cut_all(packet, 1280, 0xa1b2c3d4);
  CHECK_EQ(parts.size(), 3U);
  for (size_t i = 0; i < parts.size(); i++) {
    const v6::Cut how{56, 40, 0xa1b2c3d4};
    const size_t step = (1280 - 64) / 8 * 8;
    CHECK(parts[i] == v6::cut(packet, i * step, std::min((i + 1) * step, packet.size() - 56), how));
  }
}

void needs_room_for_eight_bytes() {
  const Bytes packet = v6::ip_packet({});
  CHECK(!Ipv6Fragmenter(packet.data(), packet.size(), 55, 1).possible());
  CHECK(Ipv6Fragmenter(packet.data(), packet.size(), 56, 1).possible());
  Bytes out(55);
  CHECK_EQ(Ipv6Fragmenter(packet.data(), packet.size(), 55, 1).next(out.data()), 0U);
}

void takes_the_longest() {
  v6::Spec spec;
  spec.payload = Bytes(65527, 3);
  const Bytes packet = v6::ip_packet(spec);
  Reassembler reassembler(kLink);
  std::optional<Bytes> whole;
  for (const Bytes& part : cut_all(packet, 1500, 1)) whole = feed(reassembler, part);
  CHECK(whole == packet);
}

void keeps_what_is_different_apart() {
  v6::Spec spec;
  spec.payload = Bytes(100, 1);
  const Bytes one = v6::ip_packet(spec);
  spec.payload = Bytes(100, 2);
  const Bytes same = v6::ip_packet(spec);
  spec.source[15] ^= 1;
  const Bytes other = v6::ip_packet(spec);
  Reassembler reassembler(kLink);
  CHECK(!feed(reassembler, v6::cut(one, 0, 56)).has_value());
  CHECK(!feed(reassembler, v6::cut(other, 0, 56)).has_value());
  CHECK(!feed(reassembler, v6::cut(same, 0, 56, {40, 6, 9})).has_value());
  CHECK(!feed(reassembler, v6::cut(same, 0, 56), 0, 7).has_value());
  CHECK(feed(reassembler, v6::cut(same, 56, 108, {40, 6, 9})) == same);
  CHECK(feed(reassembler, v6::cut(other, 56, 108)) == other);
  CHECK(feed(reassembler, v6::cut(same, 56, 108), 0, 7) == same);
  CHECK(feed(reassembler, v6::cut(one, 56, 108)) == one);
  // A single fragment belongs to none of the others (RFC 6946).
  CHECK(!feed(reassembler, v6::cut(one, 0, 56)).has_value());
  CHECK(feed(reassembler, v6::cut(same, 0, 108)) == same);
  CHECK(feed(reassembler, v6::cut(one, 56, 108)) == one);
}

void spoils_what_contradicts() {
  v6::Spec spec;
  spec.payload = Bytes(100, 1);
  const Bytes packet = v6::ip_packet(spec);
  // Overlapping fragments (RFC 5722).
  Reassembler overlap(kLink);
  CHECK(!feed(overlap, v6::cut(packet, 0, 56)).has_value());
  CHECK(!feed(overlap, v6::cut(packet, 48, 108), 1).has_value());
  CHECK(!feed(overlap, v6::cut(packet, 56, 108)).has_value());
  // A middle that is no multiple of eight bytes.
  Reassembler odd(kLink);
  CHECK(!feed(odd, v6::cut(packet, 0, 50), 1).has_value());
  // Longer than any packet.
  Reassembler beyond(kLink);
  Bytes far = v6::cut(packet, 56, 108);
  packets::put16(far.data() + 42, 0xfff8);
  CHECK(!feed(beyond, far, 1).has_value());
}

void keeps_congestion() {
  v6::Spec spec;
  spec.payload = Bytes(100, 1);
  spec.traffic_class = 0xb9;  // EF, ECT(1)
  const Bytes packet = v6::ip_packet(spec);
  Bytes marked = v6::cut(packet, 56, 108);
  marked[1] |= 0x30;
  Reassembler reassembler(kLink);
  CHECK(!feed(reassembler, v6::cut(packet, 0, 56)).has_value());
  spec.traffic_class = 0xbb;
  CHECK(feed(reassembler, marked) == v6::ip_packet(spec));
}

}  // namespace

int main() {
  gives_what_was_cut();
  repeats_options_for_hops_only();
  needs_room_for_eight_bytes();
  takes_the_longest();
  keeps_what_is_different_apart();
  spoils_what_contradicts();
  keeps_congestion();
}
