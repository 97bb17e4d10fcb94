#include <cstring>
#include <memory>
#include <random>
#include <vector>

#include "check.h"
#include "probe/frame.h"

using namespace mcfleet::probe;

namespace {

using Buffer = std::vector<std::uint8_t>;

Buffer frame_of(std::size_t payload_bytes, const FrameAddresses& addresses) {
  Buffer frame(kFrameHeaderBytes + payload_bytes);
  std::mt19937 random(6);
  for (auto& byte : frame) byte = static_cast<std::uint8_t>(random());
  write_headers(frame, addresses, 42);
  finish_udp_checksum(frame);
  return frame;
}

constexpr FrameAddresses kAddresses{.source_mac = {2, 0, 0, 0, 0, 1},
                                    .destination_mac = {1, 0, 0x5e, 1, 1, 1},
                                    .source = 0x0a636363,
                                    .destination = 0xef010101,
                                    .source_port = 40000,
                                    .destination_port = 5001,
                                    .ttl = 16};

// Checksums worked out by an independent program after RFC 1071, payload "mcfleet".
void writes_a_known_frame() {
  Buffer frame(kFrameHeaderBytes + 7);
  std::memcpy(&frame[kFrameHeaderBytes], "mcfleet", 7);
  write_headers(frame, kAddresses, 1);
  finish_udp_checksum(frame);
  const Buffer expected{0x01, 0x00, 0x5e, 0x01, 0x01, 0x01, 0x02, 0x00, 0x00, 0x00,
                        0x00, 0x01, 0x08, 0x00, 0x45, 0x00, 0x00, 0x23, 0x00, 0x01,
                        0x40, 0x00, 0x10, 0x11, 0x0d, 0x01, 0x0a, 0x63, 0x63, 0x63,
                        0xef, 0x01, 0x01, 0x01, 0x9c, 0x40, 0x13, 0x89, 0x00, 0x0f,
                        0x45, 0x08, 'm',  'c',  'f',  'l',  'e',  'e',  't'};
  CHECK(frame == expected);
}

void maps_groups_to_ethernet() {
  CHECK((multicast_mac(0xefffffff) == MacAddress{1, 0, 0x5e, 0x7f, 0xff, 0xff}));
  CHECK((multicast_mac(0xe0800001) == MacAddress{1, 0, 0x5e, 0, 0, 1}));
}

void reads_what_it_writes() {
  for (std::size_t size = 0; size < 200; ++size) {
    const Buffer frame = frame_of(size, kAddresses);
    const auto packet = std::span(frame).subspan(kEthernetBytes);
    const auto datagram = read_datagram(packet, false);
    CHECK(datagram && datagram->checksums_right && datagram->payload.size() == size);
    CHECK(datagram->source == kAddresses.source && datagram->source_port == 40000);
    CHECK(datagram->ttl == 16);
  }
}

// A checksum notices any change of one byte, headers included; a change of what frames the datagram
// may make it unreadable instead.
void notices_wrong_checksums() {
  const Buffer frame = frame_of(101, kAddresses);
  const Buffer packet(frame.begin() + kEthernetBytes, frame.end());
  std::mt19937 random(7);
  for (std::size_t at = 0; at < packet.size(); ++at) {
    Buffer changed = packet;
    changed[at] = static_cast<std::uint8_t>(changed[at] ^ (1 + random() % 255));
    const auto datagram = read_datagram(changed, false);
    CHECK(!datagram || !datagram->checksums_right);
  }
  Buffer none = packet;
  none[kIpBytes + 6] = none[kIpBytes + 7] = 0;
  CHECK(read_datagram(none, false)->checksums_right);
  Buffer unfinished = packet;
  unfinished[kIpBytes + 6] ^= 0x55;
  CHECK(!read_datagram(unfinished, false)->checksums_right);
  CHECK(read_datagram(unfinished, true)->checksums_right);
}

void survives_truncation_and_noise() {
  const Buffer frame = frame_of(64, kAddresses);
  const Buffer packet(frame.begin() + kEthernetBytes, frame.end());
  std::mt19937 random(8);
  for (int round = 0; round < 200'000; ++round) {
    const std::size_t length = random() % (packet.size() + 1);
    const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[length]);
    if (length > 0) std::memcpy(copy.get(), packet.data(), length);
    for (int flips = static_cast<int>(random() % 3); flips > 0 && length > 0; --flips) {
      copy[random() % std::min<std::size_t>(length, 28)] = static_cast<std::uint8_t>(random());
    }
    const auto datagram = read_datagram({copy.get(), length}, false);
    if (datagram && !datagram->payload.empty()) {
      CHECK(datagram->payload.data() >= copy.get() &&
            datagram->payload.data() + datagram->payload.size() <= copy.get() + length);
    }
  }
}

void refuses_fragments() {
  for (const int flags : {0x2000, 0x0001, 0x1fff}) {
    Buffer frame = frame_of(64, kAddresses);
    frame[kEthernetBytes + 6] = static_cast<std::uint8_t>(flags >> 8);
    frame[kEthernetBytes + 7] = static_cast<std::uint8_t>(flags);
    CHECK(!read_datagram(std::span(frame).subspan(kEthernetBytes), false));
  }
}

}  // namespace

int main() {
  writes_a_known_frame();
  maps_groups_to_ethernet();
  reads_what_it_writes();
  notices_wrong_checksums();
  survives_truncation_and_noise();
  refuses_fragments();
}
