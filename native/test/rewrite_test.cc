// Checksums and rewriting, against a reference that computes everything anew.
#include "packet/rewrite.h"

#include "check.h"
#include "ipv6_packets.h"
#include "packet/checksum.h"
#include "packets.h"

using namespace mcfleet;
using packets::Bytes;

namespace {

constexpr int kRounds = 20000;

Datagram parsed(const Bytes& packet, const VnetHeader& offload = {}) {
  Datagram datagram;
  CHECK(parse_frame(packet.data(), packet.size(), packet.size(), 0, offload, datagram).status ==
        ParseStatus::kOk);
  return datagram;
}

template <typename Random>
Rewrite random_rewrite(Random& random) {
  Rewrite rewrite;
  rewrite.destination = static_cast<uint32_t>(random());
  if (random() % 2 == 0) rewrite.source = static_cast<uint32_t>(random());
  if (random() % 2 == 0) rewrite.port = static_cast<uint16_t>(random());
  if (random() % 2 == 0) rewrite.ttl = static_cast<uint8_t>(random());
  if (random() % 2 == 0) rewrite.source_port = static_cast<uint16_t>(random());
  if (random() % 2 == 0) rewrite.dscp = static_cast<uint8_t>(random() % 64);
  return rewrite;
}

void sums_like_the_reference() {
  std::mt19937 random(2);
  for (int i = 0; i < kRounds; i++) {
    const Bytes bytes = packets::random_bytes(random, random() % 200);
    CHECK_EQ(sum_bytes(bytes.data(), bytes.size()) % 0xffff,
             packets::reference_sum(bytes.data(), bytes.size()) % 0xffff);
  }
}

// What the packet must be: built from the start with the new fields.
packets::Spec expected(const packets::Spec& spec, const Rewrite& rewrite) {
  packets::Spec result = spec;
  result.destination = rewrite.destination;
  if (rewrite.source != 0) result.source = rewrite.source;
  if (rewrite.port != 0) result.destination_port = rewrite.port;
  if (rewrite.source_port != 0) result.source_port = rewrite.source_port;
  if (rewrite.dscp != kKeepDscp) {
    result.tos = static_cast<uint8_t>(rewrite.dscp * 4 + spec.tos % 4);
  }
  result.ttl =
      rewrite.ttl != 0 ? rewrite.ttl : static_cast<uint8_t>(spec.ttl > 1 ? spec.ttl - 1 : 1);
  return result;
}

void rewrites_finished_checksums() {
  std::mt19937 random(3);
  for (int i = 0; i < kRounds; i++) {
    const packets::Spec spec = packets::random_spec(random, 100);
    Bytes packet = packets::ip_packet(spec);
    const Rewrite rewrite = random_rewrite(random);
    const Datagram datagram = parsed(packet);
    rewrite_datagram(packet.data(), datagram, rewrite);
    CHECK(packet == packets::ip_packet(expected(spec, rewrite)));
  }
}

// In IPv4 zero says that there is no checksum (RFC 768), and in IPv6 it is not allowed (RFC 8200,
// section 8.1).
void sends_zero_as_all_ones() {
  std::mt19937 random(6);
  for (int i = 0; i < kRounds; i++) {
    packets::Spec spec = packets::random_spec(random, 0);
    const Rewrite rewrite = random_rewrite(random);
    // A payload that makes the sum of the rewritten packet complete.
    spec.payload = {0, 0};
    const size_t header = 20 + spec.options.size();
    packets::put16(spec.payload.data(),
                   packets::get16(packets::ip_packet(expected(spec, rewrite)).data() + header + 6));
    Bytes packet = packets::ip_packet(spec);
    rewrite_datagram(packet.data(), parsed(packet), rewrite);
    CHECK_EQ(packets::get16(packet.data() + header + 6), 0xffff);
    CHECK(packet == packets::ip_packet(expected(spec, rewrite)));
  }
}

void sends_zero_as_all_ones_in_ipv6() {
  std::mt19937 random(7);
  for (int i = 0; i < kRounds; i++) {
    packets::ipv6::Spec spec = packets::ipv6::random_spec(random, 0);
    packets::ipv6::Spec wanted = spec;
    wanted.source = packets::ipv6::random_address(random);
    wanted.destination = packets::ipv6::random_address(random);
    wanted.destination_port = 6001;
    wanted.hop_limit = 9;
    const size_t header = packets::ipv6::header_size(spec);
    wanted.payload = {0, 0};
    const uint16_t missing = packets::get16(packets::ipv6::ip_packet(wanted).data() + header + 6);
    packets::put16(wanted.payload.data(), missing);
    spec.payload = wanted.payload;
    Bytes packet = packets::ipv6::ip_packet(spec);
    const Ipv6Addresses addresses{wanted.destination, wanted.source, false};
    Rewrite rewrite;
    rewrite.port = wanted.destination_port;
    rewrite.ttl = wanted.hop_limit;
    rewrite.ipv6 = &addresses;
    rewrite_datagram(packet.data(), parsed(packet), rewrite);
    CHECK_EQ(packets::get16(packet.data() + header + 6), 0xffff);
    CHECK(packet == packets::ipv6::ip_packet(wanted));
  }
}

void keeps_wrong_checksums_wrong() {
  std::mt19937 random(4);
  for (int i = 0; i < kRounds; i++) {
    const packets::Spec spec = packets::random_spec(random, 100);
    Bytes packet = packets::ip_packet(spec);
    uint8_t* field = packet.data() + 20 + spec.options.size() + 6;
    const uint16_t right = packets::get16(field);
    const auto wrong = static_cast<uint16_t>(1 + random() % 0xfffe);
    if (wrong % 0xffff == right % 0xffff) continue;
    packets::put16(field, wrong);
    const Datagram datagram = parsed(packet);
    rewrite_datagram(packet.data(), datagram, random_rewrite(random));
    const uint16_t now = packets::get16(field);
    CHECK(now != 0);
    CHECK(now % 0xffff != packets::reference_udp_checksum(packet, datagram.ip_header) % 0xffff);
    CHECK(packets::ip_checksum_right(packet.data()));
  }
}

void keeps_absent_checksums_absent() {
  packets::Spec spec;
  Bytes packet = packets::ip_packet(spec);
  packets::put16(packet.data() + 26, 0);
  const Datagram datagram = parsed(packet);
  rewrite_datagram(packet.data(), datagram, {0xef0a0a0a, 0x0a000001, 6001, 16});
  CHECK_EQ(packets::get16(packet.data() + 26), 0);
  CHECK(packets::ip_checksum_right(packet.data()));
}

VnetHeader needs_checksum(const packets::Spec& spec) {
  VnetHeader offload;
  offload.flags = kVnetNeedsChecksum;
  offload.csum_start = static_cast<uint16_t>(20 + spec.options.size());
  offload.csum_offset = 6;
  return offload;
}

void finishes_partial_checksums() {
  std::mt19937 random(5);
  for (int i = 0; i < kRounds; i++) {
    const packets::Spec spec = packets::random_spec(random, 100);
    Bytes packet = packets::ip_packet(spec);
    uint8_t* udp = packet.data() + 20 + spec.options.size();
    const uint16_t length = packets::get16(udp + 4);
    packets::put16(udp + 6, packets::reference_pseudo_sum(packet.data(), length));
    const Rewrite rewrite = random_rewrite(random);
    const Datagram datagram = parsed(packet, needs_checksum(spec));
    rewrite_datagram(packet.data(), datagram, rewrite);
    CHECK_EQ(packets::get16(udp + 6) % 0xffff,
             packets::reference_pseudo_sum(packet.data(), length) % 0xffff);
    finish_checksum(packet.data(), datagram);
    CHECK(packet == packets::ip_packet(expected(spec, rewrite)));
  }
}

void makes_verified_checksums_partial() {
  packets::Spec spec;
  spec.payload = Bytes(1000, 9);
  Bytes packet = packets::ip_packet(spec);
  VnetHeader offload;
  offload.gso_type = kVnetGsoUdpL4;
  offload.gso_size = 400;
  const Datagram datagram = parsed(packet, offload);
  rewrite_datagram(packet.data(), datagram, {0xef0a0a0a, 0, 0, 0});
  CHECK_EQ(packets::get16(packet.data() + 26), packets::reference_pseudo_sum(packet.data(), 1008));
}

void lowers_ttl_to_one_at_least() {
  for (const auto& [arriving, leaving] : {std::pair{0, 1}, {1, 1}, {2, 1}, {3, 2}, {255, 254}}) {
    packets::Spec spec;
    spec.ttl = static_cast<uint8_t>(arriving);
    Bytes packet = packets::ip_packet(spec);
    const Datagram datagram = parsed(packet);
    rewrite_datagram(packet.data(), datagram, {0xef0a0a0a, 0, 0, 0});
    CHECK_EQ(packet[8], leaving);
  }
}

void maps_groups_to_macs() {
  uint8_t mac[6];
  // RFC 1112: 23 bits of the group; 239.129.1.2 and 239.1.1.2 share one address.
  group_mac(0xef810102, mac);
  const uint8_t want[6] = {0x01, 0x00, 0x5e, 0x01, 0x01, 0x02};
  for (size_t i = 0; i < 6; i++) CHECK_EQ(mac[i], want[i]);
}

}  // namespace

int main() {
  sums_like_the_reference();
  rewrites_finished_checksums();
  sends_zero_as_all_ones();
  sends_zero_as_all_ones_in_ipv6();
  keeps_wrong_checksums_wrong();
  keeps_absent_checksums_absent();
  finishes_partial_checksums();
  makes_verified_checksums_partial();
  lowers_ttl_to_one_at_least();
  maps_groups_to_macs();
}
