// Fragments made by hand, shuffled, repeated and mixed, give the packet that they were cut from, or
// nothing.
#include "packet/reassembler.h"

#include <algorithm>
#include <optional>

#include "check.h"
#include "packets.h"
#include "reassembled.h"

using namespace mcfleet;
using packets::Bytes;

namespace {

constexpr size_t kLink = kEthernetHeader;
constexpr uint64_t kSecond = 1'000'000'000;

// The packet's payload from `begin` to `end` as a fragment in an Ethernet frame.
Bytes cut(const Bytes& packet, size_t begin, size_t end) {
  const size_t header = size_t{packet[0] & 15U} * 4;
  const bool more = header + end < packet.size();
  Bytes part(packet.begin(), packet.begin() + static_cast<long>(header));
  part.insert(part.end(), packet.begin() + static_cast<long>(header + begin),
              packet.begin() + static_cast<long>(header + end));
  packets::put16(part.data() + 2, part.size());
  packets::put16(part.data() + 6,
                 (packets::get16(packet.data() + 6) & 0x4000U) | (more ? 0x2000U : 0U) | begin / 8);
  packets::set_ip_checksum(part);
  return packets::frame(part);
}

std::vector<Bytes> cut_all(const Bytes& packet, size_t step) {
  const size_t payload = packet.size() - size_t{packet[0] & 15U} * 4;
  std::vector<Bytes> parts;
  for (size_t at = 0; at < payload; at += step) {
    parts.push_back(cut(packet, at, std::min(at + step, payload)));
  }
  return parts;
}

// What add() makes of it, without the link-layer header.
std::optional<Bytes> feed(Reassembler& reassembler, const Bytes& frame, uint32_t given_up = 0,
                          uint64_t now = kSecond, uint16_t vlan = 0) {
  const Reassembler::Result result = reassembler.add(frame.data(), vlan, now);
  CHECK_EQ(result.given_up, given_up);
  CHECK_EQ(result.evicted, 0U);
  return packets::written(reassembler, result, frame);
}

void keeps_vlans_apart() {
  Reassembler reassembler(kLink);
  packets::Spec spec;
  spec.payload = Bytes(100, 1);
  const Bytes one = packets::ip_packet(spec);
  spec.payload = Bytes(100, 2);
  const Bytes other = packets::ip_packet(spec);
  const std::vector<Bytes> parts = cut_all(one, 56);
  const std::vector<Bytes> others = cut_all(other, 56);
  CHECK(!feed(reassembler, parts[0], 0, kSecond, 7).has_value());
  CHECK(!feed(reassembler, others[0], 0, kSecond, 8).has_value());
  CHECK(feed(reassembler, others[1], 0, kSecond, 8) == other);
  CHECK(feed(reassembler, parts[1], 0, kSecond, 7) == one);
}

void gives_what_was_cut() {
  std::mt19937 random(11);
  Reassembler reassembler(kLink);
  for (int i = 0; i < 500; i++) {
    // Several datagrams at once, their fragments in any order, some twice before the last came.
    std::vector<Bytes> packets;
    std::vector<std::pair<size_t, Bytes>> parts;
    for (size_t n = 0; n < 1 + random() % 5; n++) {
      packets::Spec spec = packets::random_spec(random, random() % 8 == 0 ? 65400 : 9000);
      spec.payload.resize(std::max<size_t>(spec.payload.size(), 100));
      spec.id = static_cast<uint16_t>(n);
      spec.flags = random() % 2 == 0 ? 0x4000 : 0;
      packets.push_back(packets::ip_packet(spec));
      for (Bytes& part : cut_all(packets[n], 8 * (1 + random() % 12))) {
        parts.emplace_back(n, std::move(part));
      }
    }
    std::shuffle(parts.begin(), parts.end(), random);
    std::vector<size_t> left(packets.size());
    for (const auto& [n, part] : parts) left[n]++;
    for (const auto& [n, part] : parts) {
      const std::optional<Bytes> whole = feed(reassembler, part);
      CHECK(whole.has_value() == (--left[n] == 0));
      if (whole) {
        CHECK(*whole == packets[n]);
      } else if (random() % 4 == 0) {
        CHECK(!feed(reassembler, part));
      }
    }
  }
}

Bytes sample(uint16_t id, size_t payload = 3000) {
  packets::Spec spec;
  spec.id = id;
  spec.payload = Bytes(payload, 7);
  return packets::ip_packet(spec);
}

void tells_datagrams_apart() {
  Reassembler reassembler(kLink);
  packets::Spec spec;
  spec.payload = Bytes(2000, 1);
  std::vector<Bytes> packets{packets::ip_packet(spec)};
  spec.source++;
  packets.push_back(packets::ip_packet(spec));
  spec.destination++;
  packets.push_back(packets::ip_packet(spec));
  spec.id++;
  packets.push_back(packets::ip_packet(spec));
  for (const Bytes& packet : packets) CHECK(!feed(reassembler, cut_all(packet, 1480)[0]));
  for (const Bytes& packet : packets) CHECK(feed(reassembler, cut_all(packet, 1480)[1]) == packet);
}

void contradictions_spoil() {
  Reassembler reassembler(kLink);
  uint16_t id = 0;
  const auto spoils = [&](const auto& second) {
    const Bytes packet = sample(++id);
    CHECK(!feed(reassembler, cut(packet, 0, 1480)));
    CHECK(!feed(reassembler, second(packet), 1));
    // Told once, and not mended by what comes later.
    for (const Bytes& part : cut_all(packet, 1480)) CHECK(!feed(reassembler, part));
  };
  // Overlaps what is there; is no multiple of eight; is empty.
  spoils([](const Bytes& packet) { return cut(packet, 1472, 2000); });
  spoils([](const Bytes& packet) { return cut(packet, 1480, 1489); });
  spoils([](const Bytes& packet) { return cut(packet, 1480, 1480); });
  // Ends before what is there.
  spoils(
      [](const Bytes& packet) { return cut(Bytes(packet.begin(), packet.begin() + 920), 0, 900); });

  const Bytes packet = sample(++id);
  CHECK(!feed(reassembler, cut(packet, 1480, 3008)));
  // Goes beyond the end; then another end.
  CHECK(!feed(reassembler, cut(sample(id, 9000), 3200, 4000), 1));
  const Bytes other = sample(++id);
  CHECK(!feed(reassembler, cut(other, 1480, 3008)));
  CHECK(!feed(reassembler, cut(sample(id, 3500), 3104, 3508), 1));

  // Longer than a packet can be.
  Bytes far = cut(sample(++id), 1480, 3008);
  packets::put16(far.data() + kLink + 6, 0x1fff);
  CHECK(!feed(reassembler, far, 1));
}

// A sender's datagram under way.
struct Sent {
  Bytes packet;
  std::vector<Bytes> parts;
};

std::vector<Sent> many(size_t count, size_t payload) {
  std::vector<Sent> all;
  for (size_t i = 0; i < count; i++) {
    packets::Spec spec;
    spec.source = static_cast<uint32_t>(0x0a000000 + i);
    spec.payload = Bytes(payload, static_cast<uint8_t>(i));
    const Bytes packet = packets::ip_packet(spec);
    all.push_back({packet, cut_all(packet, 1480)});
  }
  return all;
}

// The fragments of all at once: all first ones, all second ones, and so on. How many become whole,
// how many are evicted.
std::pair<size_t, size_t> feed_abreast(Reassembler& reassembler, const std::vector<Sent>& all) {
  size_t whole = 0;
  size_t evicted = 0;
  for (size_t n = 0; n < all[0].parts.size(); n++) {
    for (const Sent& sent : all) {
      const Reassembler::Result result = reassembler.add(sent.parts[n].data(), 0, kSecond + n);
      CHECK_EQ(result.given_up, 0U);
      evicted += result.evicted;
      const auto packet = packets::written(reassembler, result, sent.parts[n]);
      if (!packet.has_value()) continue;
      CHECK(*packet == sent.packet);
      whole++;
    }
  }
  return {whole, evicted};
}

void holds_what_memory_suffices_for() {
  Reassembler reassembler(kLink);
  // Of two chunks, and the longest; again, for all memory came back.
  for (int i = 0; i < 3; i++) {
    CHECK(feed_abreast(reassembler, many(DatagramTable::kChunks / 2, 3000)) ==
          std::pair(DatagramTable::kChunks / 2, size_t{0}));
    CHECK(feed_abreast(reassembler, many(64, 65000)) == std::pair(size_t{64}, size_t{0}));
  }
}

void gives_up_the_oldest() {
  // Each is whole or given up, and those given up do not bring down the rest.
  for (const size_t count :
       {DatagramTable::kChunks / 2 + 100, DatagramTable::kChunks, DatagramTable::kDatagrams}) {
    Reassembler reassembler(kLink);
    const auto [whole, evicted] = feed_abreast(reassembler, many(count, 3900));
    CHECK_EQ(whole + evicted, count);
    CHECK(whole >= DatagramTable::kChunks / 2 - 1);
  }
  // Who came first goes first.
  Reassembler reassembler(kLink);
  const std::vector<Sent> all = many(DatagramTable::kChunks + 1, 1800);
  size_t evicted = 0;
  for (const Sent& sent : all) evicted += reassembler.add(sent.parts[0].data(), 1, kSecond).evicted;
  CHECK_EQ(evicted, 1U);
  CHECK(!feed(reassembler, all[0].parts[1], 0, kSecond, 1));
  CHECK(feed(reassembler, all[1].parts[1], 0, kSecond, 1) == all[1].packet);
}

void gives_up_the_late() {
  Reassembler reassembler(kLink);
  CHECK(!feed(reassembler, cut_all(sample(1), 1480)[0], 0, kSecond));
  CHECK(!feed(reassembler, cut_all(sample(2), 1480)[0], 0, 2 * kSecond));
  const auto finish = [&](uint16_t id, uint64_t now) {
    const std::vector<Bytes> parts = cut_all(sample(id), 1480);
    CHECK(!feed(reassembler, parts[1], 0, now));
    return feed(reassembler, parts[2], 0, now) == sample(id);
  };
  const uint64_t late = kSecond + DatagramTable::kTimeoutNs + 1;
  CHECK(!feed(reassembler, cut_all(sample(3), 1480)[0], 1, late));
  CHECK(finish(2, late));
  CHECK(finish(3, late));
  // The clock is set back by a minute: what is open is late, and what comes now is not.
  CHECK(!feed(reassembler, cut_all(sample(4), 1480)[0], 0, 90 * kSecond));
  CHECK(!feed(reassembler, cut_all(sample(5), 1480)[0], 1, 30 * kSecond));
  CHECK(finish(5, 31 * kSecond));
}

// A sender comes round to an identification of which one was given up.
void takes_an_identification_again() {
  Reassembler reassembler(kLink);
  const Bytes packet = sample(1);
  CHECK(!feed(reassembler, cut(packet, 0, 1480)));
  CHECK(!feed(reassembler, cut(packet, 1472, 2000), 1));
  const std::vector<Bytes> parts = cut_all(packet, 1480);
  const uint64_t later = kSecond + DatagramTable::kIgnoreNs + 1;
  CHECK(!feed(reassembler, parts[0], 0, later));
  CHECK(!feed(reassembler, parts[1], 0, later));
  CHECK(feed(reassembler, parts[2], 0, later) == packet);
}

void keeps_congestion_marks() {
  Reassembler reassembler(kLink);
  std::vector<Bytes> parts = cut_all(sample(1), 1480);
  for (Bytes& part : parts) part[kLink + 1] = 0xb8 + 2;
  parts[1][kLink + 1] = 0xb8 + 3;
  CHECK(!feed(reassembler, parts[0]));
  CHECK(!feed(reassembler, parts[1]));
  const std::optional<Bytes> whole = feed(reassembler, parts[2]);
  CHECK(whole.has_value());
  CHECK_EQ((*whole)[1], 0xb8 + 3);
  CHECK(packets::ip_checksum_right(whole->data()));
}

}  // namespace

int main() {
  keeps_vlans_apart();
  gives_what_was_cut();
  tells_datagrams_apart();
  contradictions_spoil();
  holds_what_memory_suffices_for();
  gives_up_the_oldest();
  gives_up_the_late();
  takes_an_identification_again();
  keeps_congestion_marks();
  return 0;
}
