// Every way in which a frame can be unusable has its own name, and what is usable is read right.
#include "packet/parse.h"

#include <string>

#include "check.h"
#include "packets.h"

using namespace mcfleet;
using packets::Bytes;

namespace {

ParseResult parse(const Bytes& frame, Datagram& datagram, const VnetHeader& offload = {},
                  size_t link_header = 14) {
  // Exactly as long as the frame, so that the sanitizer sees a read behind it.
  const Bytes exact(frame.begin(), frame.end());
  return parse_frame(exact.data(), exact.size(), exact.size(), link_header, offload, datagram);
}

std::string dropped(const Bytes& frame, const VnetHeader& offload = {}, size_t link_header = 14) {
  Datagram datagram;
  const ParseResult result = parse(frame, datagram, offload, link_header);
  return result.status == ParseStatus::kDrop ? drop_reason_name(result.reason) : "";
}

VnetHeader super_frame(uint16_t segment, bool partial, uint16_t ip_header = 20) {
  VnetHeader offload;
  offload.flags = partial ? kVnetNeedsChecksum : uint8_t{0};
  offload.gso_type = kVnetGsoUdpL4;
  offload.gso_size = segment;
  offload.csum_start = static_cast<uint16_t>(14 + ip_header);
  offload.csum_offset = 6;
  return offload;
}

// A frame with one change at the IP packet's `offset`; the header checksum is right again
// afterwards.
Bytes changed(size_t offset, uint8_t value) {
  Bytes packet = packets::ip_packet({});
  packet[offset] = value;
  if ((packet[0] & 15) >= 5 && (packet[0] & 15) * 4U <= packet.size())
    packets::set_ip_checksum(packet);
  return packets::frame(packet);
}

void reads_fields() {
  std::mt19937 random(1);
  for (int i = 0; i < 2000; i++) {
    const packets::Spec spec = packets::random_spec(random, 1400);
    Bytes frame = packets::frame(packets::ip_packet(spec));
    const size_t length = frame.size() - 14;
    // Padding of short Ethernet frames is no part of the packet.
    if (frame.size() < 60) frame.resize(60);
    Datagram datagram;
    CHECK(parse(frame, datagram).status == ParseStatus::kOk);
    CHECK_EQ(datagram.source, spec.source);
    CHECK_EQ(datagram.destination, spec.destination);
    CHECK_EQ(datagram.source_port, spec.source_port);
    CHECK_EQ(datagram.destination_port, spec.destination_port);
    CHECK_EQ(datagram.ttl, spec.ttl);
    CHECK_EQ(datagram.ip_header, 20 + spec.options.size());
    CHECK_EQ(datagram.ip_length, length);
    CHECK_EQ(datagram.udp_length, 8 + spec.payload.size());
    CHECK_EQ(datagram.segments, 1);
    CHECK_EQ(datagram.wire_bytes(), length);
    CHECK(datagram.checksum == UdpChecksum::kFinished);
  }
}

void names_what_is_malformed() {
  CHECK(dropped(packets::frame(packets::ip_packet({}))).empty());
  CHECK(dropped(Bytes(13)) == "malformed_link_header");
  CHECK(dropped(changed(0, 0x65)) == "malformed_ip_version");
  CHECK(dropped(changed(0, 0x05)) == "malformed_ip_version");
  CHECK(dropped(changed(0, 0x44)) == "malformed_ip_header_length");
  CHECK(dropped(changed(0, 0x4f)) == "malformed_ip_header_length");
  CHECK(dropped(changed(3, 34)) == "malformed_ip_length");
  CHECK(dropped(changed(3, 19)) == "malformed_ip_length");
  CHECK(dropped(changed(2, 0xff)) == "malformed_ip_length");
  CHECK(dropped(changed(6, 0x20)) == "fragment");
  CHECK(dropped(changed(7, 0x01)) == "fragment");
  CHECK(dropped(changed(3, 27)) == "malformed_udp_length");
  CHECK(dropped(changed(25, 7)) == "malformed_udp_length");
  CHECK(dropped(changed(25, 14)) == "malformed_udp_length");
  CHECK(dropped(changed(24, 0xff)) == "malformed_udp_length");
  Bytes wrong = packets::frame(packets::ip_packet({}));
  wrong[14 + 8]++;
  CHECK(dropped(wrong) == "malformed_ip_checksum");
  // Cut anywhere, something is missing.
  const Bytes whole = packets::frame(packets::ip_packet({}));
  for (size_t size = 0; size < whole.size(); size++) {
    CHECK(!dropped(Bytes(whole.begin(), whole.begin() + static_cast<long>(size))).empty());
  }
}

void leaves_other_protocols() {
  Datagram datagram;
  CHECK(parse(packets::frame(Bytes(28), 0x0806), datagram).status == ParseStatus::kNotUdp);
  CHECK(parse(changed(9, 6), datagram).status == ParseStatus::kNotUdp);
  CHECK(parse(packets::ip_packet({}), datagram, {}, 0).status == ParseStatus::kOk);
}

void accepts_udp_options() {
  // RFC 9868: the surplus behind the UDP length belongs to the packet.
  packets::Spec spec;
  spec.payload = Bytes(20, 7);
  Bytes packet = packets::ip_packet(spec);
  packets::put16(packet.data() + 24, 8 + 12);
  Datagram datagram;
  CHECK(parse(packets::frame(packet), datagram).status == ParseStatus::kOk);
  CHECK_EQ(datagram.udp_length, 20);
  CHECK_EQ(datagram.ip_length, 48);
  // A device would sum the surplus as well.
  VnetHeader partial;
  partial.flags = kVnetNeedsChecksum;
  partial.csum_start = 34;
  partial.csum_offset = 6;
  CHECK(dropped(packets::frame(packet), partial) == "malformed_udp_length");
  CHECK(dropped(packets::frame(packet), super_frame(4, false)) == "malformed_udp_length");
}

void reads_offload() {
  packets::Spec spec;
  spec.payload = Bytes(1000, 7);
  const Bytes frame = packets::frame(packets::ip_packet(spec));
  Datagram datagram;
  CHECK(parse(frame, datagram, super_frame(300, true)).status == ParseStatus::kOk);
  CHECK_EQ(datagram.segments, 4);
  CHECK_EQ(datagram.segment_size, 300);
  CHECK_EQ(datagram.wire_bytes(), 1000U + 4 * 28);
  CHECK(datagram.checksum == UdpChecksum::kPartial);
  CHECK(parse(frame, datagram, super_frame(300, false)).status == ParseStatus::kOk);
  CHECK(datagram.checksum == UdpChecksum::kVerified);
  // One segment is a plain datagram.
  CHECK(parse(frame, datagram, super_frame(1000, false)).status == ParseStatus::kOk);
  CHECK_EQ(datagram.segments, 1);
  CHECK_EQ(datagram.segment_size, 0);

  CHECK(dropped(frame, super_frame(0, true)) == "malformed_offload");
  CHECK(dropped(frame, super_frame(1, true)) == "malformed_offload");
  VnetHeader offload = super_frame(300, true);
  offload.csum_start = 35;
  CHECK(dropped(frame, offload) == "malformed_offload");
  offload = super_frame(300, true);
  offload.csum_offset = 16;
  CHECK(dropped(frame, offload) == "malformed_offload");
  offload = super_frame(300, true);
  offload.gso_type = 1;
  CHECK(dropped(frame, offload) == "malformed_offload");
  // Fragmentation offload is one datagram.
  offload.gso_type = kVnetGsoUdp;
  CHECK(parse(frame, datagram, offload).status == ParseStatus::kOk);
  CHECK_EQ(datagram.segments, 1);
  // Without a checksum nothing can have been merged.
  Bytes none = packets::ip_packet(spec);
  packets::put16(none.data() + 26, 0);
  CHECK(dropped(packets::frame(none), super_frame(300, false)) == "malformed_offload");
  CHECK(parse(packets::frame(none), datagram).status == ParseStatus::kOk);
  CHECK(datagram.checksum == UdpChecksum::kNone);
}

void parses_truncated_captures() {
  packets::Spec spec;
  spec.payload = Bytes(5000, 1);
  const Bytes frame = packets::frame(packets::ip_packet(spec));
  Datagram datagram;
  CHECK(parse_frame(frame.data(), 1972, frame.size(), 14, {}, datagram).status == ParseStatus::kOk);
  CHECK_EQ(datagram.destination_port, 5001);
  CHECK_EQ(datagram.ip_length, 5028);
  CHECK(parse_frame(frame.data(), 30, frame.size(), 14, {}, datagram).status == ParseStatus::kDrop);
}

}  // namespace

int main() {
  reads_fields();
  names_what_is_malformed();
  leaves_other_protocols();
  accepts_udp_options();
  reads_offload();
  parses_truncated_captures();
}
