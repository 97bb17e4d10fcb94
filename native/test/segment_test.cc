// The datagrams of a super-frame are those that its sender would have sent one by one.
#include "packet/segment.h"

#include <array>

#include "check.h"
#include "packets.h"

using namespace mcfleet;
using packets::Bytes;

namespace {

constexpr size_t kSegment = 400;

void cuts_into_datagrams_with_identifications_that_count_up(uint16_t first_id) {
  std::mt19937 random(21);
  packets::Spec spec;
  spec.id = first_id;
  spec.options = Bytes(8, 1);
  spec.payload = packets::random_bytes(random, 3 * kSegment + 11);
  const Bytes super = packets::ip_packet(spec);
  VnetHeader offload;
  offload.gso_type = kVnetGsoUdpL4;
  offload.gso_size = kSegment;
  Datagram datagram;
  CHECK(parse_frame(super.data(), super.size(), super.size(), 0, offload, datagram).status ==
        ParseStatus::kOk);

  Segmenter segmenter(super.data(), datagram);
  std::array<uint8_t, kMaxIpPacket> out{};
  Datagram segment;
  for (size_t i = 0; i < 4; i++) {
    CHECK(segmenter.next(out.data(), segment));
    packets::Spec one = spec;
    one.id = static_cast<uint16_t>(first_id + i);
    const auto begin = spec.payload.begin() + static_cast<long>(i * kSegment);
    one.payload = Bytes(begin, i < 3 ? begin + kSegment : spec.payload.end());
    const Bytes expected = packets::ip_packet(one);
    CHECK_EQ(segment.ip_length, expected.size());
    CHECK_EQ(packets::get16(out.data() + 4), one.id);
    CHECK(Bytes(out.begin(), out.begin() + static_cast<long>(expected.size())) == expected);
  }
  CHECK(!segmenter.next(out.data(), segment));
}

}  // namespace

int main() {
  cuts_into_datagrams_with_identifications_that_count_up(0x1234);
  // Beyond the last one they start again at 0.
  cuts_into_datagrams_with_identifications_that_count_up(0xfffe);
}
