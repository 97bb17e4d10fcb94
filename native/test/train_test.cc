// What leaves in trains is what was added: every datagram once, in the order of its flow, and a
// super-frame that is cut again gives the datagrams it was made of.
#include "forwarder/train.h"

#include <map>

#include "check.h"
#include "packet/identification.h"
#include "packets.h"

using namespace mcfleet;
using packets::Bytes;

namespace {

constexpr size_t kHeaders = 28;

struct Arrived {
  Bytes packet;
  Datagram datagram;
  bool checksum_right = true;
};

Arrived arrive(const packets::Spec& spec) {
  Arrived arrived{packets::ip_packet(spec), {}, true};
  CHECK(parse_frame(arrived.packet.data(), arrived.packet.size(), arrived.packet.size(), 0, {},
                    arrived.datagram)
            .status == ParseStatus::kOk);
  return arrived;
}

// As a stack leaves it that lets the device finish the checksum.
void make_partial(Arrived& arrived) {
  uint8_t* udp = arrived.packet.data() + arrived.datagram.ip_header;
  packets::put16(udp + 6,
                 packets::reference_pseudo_sum(arrived.packet.data(), arrived.datagram.udp_length));
  arrived.datagram.checksum = UdpChecksum::kPartial;
}

void make_wrong(Arrived& arrived) {
  uint8_t* checksum = arrived.packet.data() + arrived.datagram.ip_header + 6;
  packets::put16(checksum, packets::get16(checksum) ^ 0x5a5aU);
  if (packets::get16(checksum) == 0) packets::put16(checksum, 1);
  arrived.checksum_right = false;
}

void make_none(Arrived& arrived) {
  packets::put16(arrived.packet.data() + arrived.datagram.ip_header + 6, 0);
  arrived.datagram.checksum = UdpChecksum::kNone;
}

// What a device makes of a super-frame (inet_gso_segment, __udp_gso_segment): headers, with payload
// and identification of one datagram.
Bytes cut(const uint8_t* headers, size_t number, const uint8_t* payload, size_t size) {
  Bytes one(headers, headers + kHeaders);
  one.insert(one.end(), payload, payload + size);
  packets::put16(one.data() + 2, one.size());
  packets::put16(one.data() + 4, packets::get16(headers + 4) + number);
  packets::put16(one.data() + 24, 8 + size);
  packets::set_ip_checksum(one);
  packets::put16(one.data() + 26, packets::reference_udp_checksum(one, 20));
  return one;
}

std::vector<Bytes> cut_all(const Bytes& packet, size_t segment) {
  std::vector<Bytes> all;
  for (size_t offset = kHeaders; offset < packet.size(); offset += segment) {
    all.push_back(cut(packet.data(), all.size(), packet.data() + offset,
                      std::min(segment, packet.size() - offset)));
  }
  return all;
}

// Cuts the super-frame of a train, and compares with what its packets give.
void check_super_frame(const Train& train) {
  CHECK(train.datagrams() <= Train::kMaxDatagrams);
  const Datagram super = train.merged();
  CHECK_EQ(super.segments, train.datagrams());
  CHECK(super.checksum == UdpChecksum::kVerified);
  Bytes whole(super.ip_length);
  train.write_headers(whole.data());
  CHECK(packets::ip_checksum_right(whole.data()));
  CHECK_EQ(packets::get16(whole.data() + 2), super.ip_length);
  CHECK_EQ(packets::get16(whole.data() + 24), super.udp_length);
  CHECK_EQ(super.udp_length - 8U + kHeaders, super.ip_length);
  train.write_payload(whole.data() + kHeaders);

  std::vector<Bytes> expected;
  uint64_t wire_bytes = 0;
  for (size_t i = 0; i < train.size(); i++) {
    const Datagram datagram = train.datagram(i);
    CHECK(datagram.segments == 1 || datagram.segment_size == super.segment_size);
    wire_bytes += datagram.wire_bytes();
    const Bytes packet(train.packet(i), train.packet(i) + datagram.ip_length);
    for (Bytes& one : cut_all(packet, super.segment_size)) expected.push_back(std::move(one));
  }
  CHECK(cut_all(whole, super.segment_size) == expected);
  CHECK_EQ(super.wire_bytes(), wire_bytes);
}

// Adds everything and lets it leave; gives the sizes of the trains.
std::vector<size_t> run(std::vector<Arrived> arrived, size_t burst) {
  std::map<const uint8_t*, size_t> places;
  for (size_t i = 0; i < arrived.size(); i++) places[arrived[i].packet.data()] = i;
  std::map<std::pair<uint64_t, uint32_t>, size_t> last_of_flow;
  std::vector<size_t> sizes;
  size_t left = 0;
  Identifications identifications;
  const auto leave = [&](Train& train) {
    sizes.push_back(train.size());
    if (lacks_identification(train.packet(0))) {
      train.identify(identifications.take(train.datagrams()));
      for (size_t i = 0; i < train.size(); i++) CHECK(!lacks_identification(train.packet(i)));
    }
    for (size_t i = 0; i < train.size(); i++) {
      const size_t place = places.at(train.packet(i));
      places.erase(train.packet(i));
      const Arrived& one = arrived[place];
      const Datagram datagram = train.datagram(i);
      CHECK_EQ(datagram.ip_length, one.datagram.ip_length);
      CHECK_EQ(datagram.udp_length, one.datagram.udp_length);
      CHECK_EQ(datagram.segments, one.datagram.segments);
      CHECK_EQ(datagram.segment_size, one.datagram.segment_size);
      CHECK(train.size() == 1 || one.checksum_right);
      // A train may be taken apart again, and each rewritten as it arrived.
      CHECK(datagram.checksum == one.datagram.checksum);
      // Places count from one, so that zero is before all.
      size_t& last =
          last_of_flow[{uint64_t{one.datagram.source} << 32 | one.datagram.destination,
                        uint32_t{one.datagram.source_port} << 16 | one.datagram.destination_port}];
      CHECK(place + 1 > last);
      last = place + 1;
      left++;
    }
    if (train.size() > 1) check_super_frame(train);
  };
  Trains trains;
  for (size_t i = 0; i < arrived.size(); i++) {
    Arrived& one = arrived[i];
    const bool known = one.checksum_right && i % 7 == 0;
    trains.add(one.datagram, one.packet.data(), i, known, leave);
    if ((i + 1) % burst == 0) {
      trains.leave_all(leave);
      CHECK_EQ(left, i + 1);
    }
  }
  trains.leave_all(leave);
  CHECK_EQ(left, arrived.size());
  return sizes;
}

packets::Spec flow_spec(uint32_t flow, size_t size) {
  packets::Spec spec;
  spec.source += flow;
  spec.source_port = static_cast<uint16_t>(4000 + flow % 3);
  // As Linux sends it.
  spec.id = 0;
  spec.flags = 0x4000;
  spec.payload = Bytes(size, static_cast<uint8_t>(flow));
  return spec;
}

void any_datagrams_leave_once_and_in_order() {
  std::mt19937 random(1);
  for (int round = 0; round < 300; round++) {
    const auto flows = static_cast<uint32_t>(1 + random() % 60);
    const size_t usual = 1 + random() % 1400;
    std::vector<Arrived> arrived;
    std::vector<uint16_t> counters(flows);
    for (uint16_t& counter : counters) counter = static_cast<uint16_t>(random());
    for (int i = 0; i < 300; i++) {
      const auto flow = static_cast<uint32_t>(random() % flows);
      packets::Spec spec = flow_spec(flow, usual);
      // Some senders count, also beyond the last number.
      if (flow % 3 == 0) spec.id = counters[flow]++;
      spec.payload = packets::random_bytes(random, usual);
      const auto odd = random() % 100;
      if (odd < 3) spec.payload.resize(random() % (usual + 20));
      if (odd == 3) spec.ttl = static_cast<uint8_t>(1 + random() % 255);
      if (odd == 4) spec.flags = 0;
      if (odd == 5) spec.options = Bytes(4, 1);
      if (odd == 6) spec.payload.clear();
      if (odd == 40) spec.id = static_cast<uint16_t>(random());
      Arrived one = arrive(spec);
      if (odd == 7) make_wrong(one);
      if (odd == 8) make_none(one);
      if (odd == 50 && spec.payload.size() > 9) {
        // A surplus of nine bytes behind the datagram (RFC 9868).
        packets::put16(one.packet.data() + one.datagram.ip_header + 4,
                       one.datagram.udp_length - 9U);
        packets::put16(one.packet.data() + one.datagram.ip_header + 6,
                       packets::reference_udp_checksum(one.packet, one.datagram.ip_header));
        one.datagram.udp_length = static_cast<uint16_t>(one.datagram.udp_length - 9);
      }
      if (odd == 9) one.packet[1] = 0xb8;  // DSCP
      if (odd == 9) packets::set_ip_checksum(one.packet);
      if (odd >= 10 && odd < 40) make_partial(one);
      arrived.push_back(std::move(one));
    }
    run(arrived, 1 + random() % 300);
  }
}

std::vector<size_t> run_equal(size_t flows, size_t count, size_t size) {
  std::vector<Arrived> arrived;
  for (size_t i = 0; i < count; i++) {
    arrived.push_back(arrive(flow_spec(static_cast<uint32_t>(i % flows), size)));
  }
  return run(arrived, count);
}

void trains_are_as_long_as_they_may_be() {
  CHECK(run_equal(1, 100, 1316) == (std::vector<size_t>{49, 49, 2}));
  CHECK(run_equal(1, 300, 64) == (std::vector<size_t>{128, 128, 44}));
  // Interleaved.
  CHECK(run_equal(8, 160, 1316) == std::vector<size_t>(8, 20));
  CHECK(run_equal(Trains::kFlows, 10 * Trains::kFlows, 100) ==
        std::vector<size_t>(Trains::kFlows, 10));
}

void more_flows_than_kept_apart_leave_early() {
  const std::vector<size_t> sizes = run_equal(Trains::kFlows + 1, 3 * (Trains::kFlows + 1), 100);
  CHECK_EQ(sizes.size(), 3 * (Trains::kFlows + 1));
}

void a_shorter_one_is_the_last() {
  std::vector<Arrived> arrived;
  for (const size_t size : std::initializer_list<size_t>{1000, 1000, 400, 400, 1000, 1200, 1200}) {
    arrived.push_back(arrive(flow_spec(0, size)));
  }
  CHECK(run(arrived, 100) == (std::vector<size_t>{3, 1, 1, 2}));
}

void identifications_stay_where_fragments_are_allowed() {
  for (const bool dont_fragment : {false, true}) {
    std::vector<Arrived> arrived;
    for (const int id : {500, 501, 502, 700, 701, 701, 703, 0, 0, 706, 127, 65535, 0, 1, 130}) {
      packets::Spec spec = flow_spec(0, 1000);
      spec.id = static_cast<uint16_t>(id);
      spec.flags = dont_fragment ? 0x4000 : 0;
      arrived.push_back(arrive(spec));
    }
    // What has one and what has none travel apart; with DF also 127 and 1 are none.
    const std::vector<size_t> kept{3, 2, 1, 1, 2, 1, 1, 1, 1, 1, 1};
    const std::vector<size_t> changed{7, 2, 1, 1, 1, 2, 1};
    CHECK(run(arrived, 100) == (dont_fragment ? changed : kept));
  }
}

// Also where the others of its train would change it: a loop is known by it.
void identifications_stay_where_somebody_knows_them() {
  std::vector<Arrived> arrived;
  for (const int id : {500, 600, 601, 700, 800}) {
    packets::Spec spec = flow_spec(0, 1000);
    spec.id = static_cast<uint16_t>(id);
    arrived.push_back(arrive(spec));
    arrived.back().datagram.keeps_identification = id == 601 || id == 700;
  }
  // 600 becomes 501, which 601 does not follow; 700 does not follow 601, and 800 becomes 701.
  CHECK(run(arrived, 100) == (std::vector<size_t>{2, 1, 2}));
}

// A sender's super-frame of datagrams of `segment` bytes, and a last one of `last`.
Arrived arrive_super(size_t count, size_t segment, size_t last, int id) {
  packets::Spec spec = flow_spec(0, (count - 1) * segment + last);
  spec.id = static_cast<uint16_t>(id);
  spec.flags = 0;
  Arrived arrived{packets::ip_packet(spec), {}, true};
  VnetHeader offload{};
  offload.flags = kVnetNeedsChecksum;
  offload.csum_start = 20;
  offload.csum_offset = 6;
  offload.gso_type = kVnetGsoUdpL4;
  offload.gso_size = static_cast<uint16_t>(segment);
  CHECK(parse_frame(arrived.packet.data(), arrived.packet.size(), arrived.packet.size(), 0, offload,
                    arrived.datagram)
            .status == ParseStatus::kOk);
  make_partial(arrived);
  return arrived;
}

void super_frames_travel_together() {
  const auto sizes = [](const std::vector<Arrived>& arrived) { return run(arrived, 100); };
  using Sizes = std::vector<size_t>;
  // As a connected socket counts; the third does not fit.
  CHECK(sizes({arrive_super(20, 1316, 1316, 700), arrive_super(20, 1316, 1316, 701),
               arrive_super(20, 1316, 1316, 702), arrive_super(9, 1316, 1316, 703)}) ==
        (Sizes{2, 2}));
  // More than 128 datagrams are not cut.
  CHECK(sizes({arrive_super(100, 100, 100, 0), arrive_super(28, 100, 100, 0),
               arrive_super(100, 100, 100, 0), arrive_super(29, 100, 100, 0)}) == (Sizes{2, 1, 1}));
  // Nothing follows a shorter one.
  CHECK(sizes({arrive_super(20, 1000, 999, 0), arrive_super(20, 1000, 1, 0),
               arrive_super(4, 1000, 1000, 0), arrive_super(5, 1000, 1, 0)}) == (Sizes{1, 1, 2}));
  // Datagrams and super-frames, and other sizes.
  Arrived one = arrive(flow_spec(0, 500));
  make_partial(one);
  one.packet[6] = 0;
  packets::set_ip_checksum(one.packet);
  one.datagram.dont_fragment = false;
  CHECK(sizes({one, arrive_super(3, 500, 500, 0), one, arrive_super(2, 499, 499, 0), one}) ==
        (Sizes{3, 1, 1}));
}

// What a connected socket with UDP_SEGMENT gives, cut before it arrives: for each super-frame the
// identification counts up by one, for each of its segments as well, and fragments are allowed.
void overlapping_identifications_are_none() {
  for (const int segments : {3, 20, 128}) {
    std::vector<Arrived> arrived;
    // Read from the middle of a super-frame on.
    for (int i = segments / 2; arrived.size() < 300; i++) {
      packets::Spec spec = flow_spec(0, 100);
      spec.id = static_cast<uint16_t>(65400 + i / segments + i % segments);
      spec.flags = 0;
      arrived.push_back(arrive(spec));
    }
    CHECK(run(arrived, 300) == (std::vector<size_t>{128, 128, 44}));
  }
}

void other_identifications_stay_apart() {
  std::vector<Arrived> arrived;
  // Two flows of a host that counts all its packets up, of which one is seen.
  for (const int id : {1000, 1002, 1004, 1006, 878, 1007, 877, 1200, 1072, 1072}) {
    packets::Spec spec = flow_spec(0, 100);
    spec.id = static_cast<uint16_t>(id);
    spec.flags = 0;
    arrived.push_back(arrive(spec));
  }
  // 878 is 128 less than 1006, as 1072 is than 1200, and may be a copy at last.
  CHECK(run(arrived, 300) == std::vector<size_t>(10, 1));
}

void unfinished_checksums_travel_apart() {
  std::vector<Arrived> arrived;
  for (const bool partial : {true, true, false, false, false, true}) {
    arrived.push_back(arrive(flow_spec(0, 1000)));
    if (partial) make_partial(arrived.back());
  }
  CHECK(run(arrived, 100) == (std::vector<size_t>{2, 3, 1}));
}

void a_part_is_a_train() {
  std::mt19937 random(61);
  std::vector<Arrived> arrived;
  for (size_t i = 0; i < 40; i++) {
    packets::Spec spec = flow_spec(0, i < 39 ? 500 : 77);
    spec.id = static_cast<uint16_t>(1000 + i);
    arrived.push_back(arrive(spec));
  }
  Trains trains;
  Train part;
  size_t left = 0;
  const auto take_some = [&](const Train& whole) {
    left++;
    CHECK_EQ(whole.size(), 40U);
    for (int round = 0; round < 200; round++) {
      part.clear();
      const size_t from = random() % whole.size();
      const size_t end = from + 1 + random() % (whole.size() - from);
      std::vector<size_t> taken;
      for (size_t i = from; i < end; i++) {
        part.take_over(whole, i);
        taken.push_back(i);
      }
      CHECK_EQ(part.size(), taken.size());
      for (size_t i = 0; i < taken.size(); i++) {
        CHECK(part.packet(i) == whole.packet(taken[i]));
        CHECK_EQ(part.time_ns(i), 1000 + taken[i]);
        CHECK_EQ(part.datagram(i).ip_length, whole.datagram(taken[i]).ip_length);
      }
      if (part.size() > 1) check_super_frame(part);
    }
  };
  for (size_t i = 0; i < arrived.size(); i++) {
    trains.add(arrived[i].datagram, arrived[i].packet.data(), 1000 + i, true, take_some);
  }
  trains.leave_all(take_some);
  CHECK_EQ(left, 1U);
}

}  // namespace

int main() {
  a_part_is_a_train();
  any_datagrams_leave_once_and_in_order();
  trains_are_as_long_as_they_may_be();
  more_flows_than_kept_apart_leave_early();
  a_shorter_one_is_the_last();
  identifications_stay_where_fragments_are_allowed();
  identifications_stay_where_somebody_knows_them();
  super_frames_travel_together();
  overlapping_identifications_are_none();
  other_identifications_stay_apart();
  unfinished_checksums_travel_apart();
}
