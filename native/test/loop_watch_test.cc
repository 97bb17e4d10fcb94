// Relays in a loop, which read their queues in pieces of any length, so that trains part and meet
// anywhere: how often what goes round is passed on until the loop is known.
#include "forwarder/loop_watch.h"

#include <algorithm>
#include <deque>
#include <map>
#include <memory>
#include <random>

#include "check.h"
#include "packets.h"

using namespace mcfleet;
using packets::Bytes;

namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kStart = 1'700'000'000 * kSecond;
constexpr size_t kLink = 14;
constexpr size_t kHeaders = kLink + 28;
constexpr size_t kSize = 40;
constexpr uint32_t kRounds = 1 + DuplicateWindow::kTolerated;
constexpr uint16_t kDontFragment = 0x4000;

struct Frame {
  Bytes bytes;
  // Of a super-frame.
  size_t segment = 0;
};

enum class Sender : uint8_t {
  kCounts,
  kCountsAndForbidsFragments,
  kGivesNone,
  kGivesSome,
  kGivesAny,
  kSaysTheSame,
};

struct Plan {
  Sender sender = Sender::kCounts;
  size_t relays = 2;
  bool sets_source = false;
  bool sets_ttl = false;
  bool super_frames = false;
};

// The number that a test packet has, at the end, where no one looks for what is equal in padding.
uint32_t number_of(const uint8_t* payload) {
  return packets::get32(payload);
}

class Loop {
 public:
  Loop(const Plan& plan, uint32_t seed) : plan_(plan), random_(seed) {
    for (size_t i = 0; i < plan.relays; i++) {
      relays_.emplace_back().identifications = Identifications(static_cast<uint16_t>(random_()));
    }
    first_id_ = static_cast<uint16_t>(kFirstIdentification + random_() % 60'000);
  }

  // Other traffic than what goes round, so that each relay looks at some packets only.
  void keep_busy() {
    for (Relay& relay : relays_) {
      packets::Spec spec;
      spec.destination++;
      spec.payload = Bytes(kSize, 1);
      for (uint32_t i = 0; i < LoopWatch::kBudget; i++) {
        packets::put32(spec.payload.data(), i);
        Frame frame{packets::frame(packets::ip_packet(spec))};
        Datagram datagram = parse(frame);
        relay.watch.arrive(frame.bytes.data() + kLink, kLink, datagram, now_);
        CHECK(datagram.shown && !datagram.repeated);
      }
    }
  }

  // Packets of the source for the first relay.
  void send(uint32_t count) {
    for (uint32_t i = 0; i < count; i++) relays_[0].queue.push_back({packets::frame(packet())});
  }

  // One relay passes on what of its queue it finds.
  void step() {
    now_ += 1000 + random_() % 50'000;
    std::vector<size_t> busy;
    for (size_t i = 0; i < relays_.size(); i++) {
      if (!relays_[i].queue.empty()) busy.push_back(i);
    }
    const size_t index = busy[random_() % busy.size()];
    Relay& relay = relays_[index];
    size_t count = random_() % 4 == 0 ? relay.queue.size() : 1 + random_() % relay.queue.size();
    count = std::min<size_t>(count, 256);
    std::vector<Frame> burst(relay.queue.begin(),
                             relay.queue.begin() + static_cast<std::ptrdiff_t>(count));
    relay.queue.erase(relay.queue.begin(),
                      relay.queue.begin() + static_cast<std::ptrdiff_t>(count));
    const auto leave = [&](Train& train) {
      relay.watch.leave(train, kLink, relay.identifications);
      if (!train.first().repeated) pass_on(index, train);
    };
    for (Frame& frame : burst) {
      Datagram datagram = parse(frame);
      uint8_t* ip = frame.bytes.data() + kLink;
      relay.watch.arrive(ip, kLink, datagram, now_);
      relay.trains.add(datagram, ip, now_, true, leave);
    }
    relay.trains.leave_all(leave);
  }

  [[nodiscard]] bool at_rest() const {
    return std::all_of(relays_.begin(), relays_.end(),
                       [](const Relay& relay) { return relay.queue.empty(); });
  }
  void run_until_at_rest() {
    for (int steps = 0; !at_rest(); steps++) {
      CHECK(steps < 200'000);
      step();
    }
  }
  [[nodiscard]] bool known() const { return relays_[0].watch.in_loop(now_); }
  [[nodiscard]] uint32_t sent() const { return sent_; }
  // How often the first relay passed on each packet.
  [[nodiscard]] uint32_t passed(uint32_t number) const {
    const auto found = passed_.find(number);
    return found == passed_.end() ? 0 : found->second;
  }

 private:
  struct Relay {
    LoopWatch watch;
    Trains trains;
    Identifications identifications;
    std::deque<Frame> queue;
  };

  Bytes packet() {
    packets::Spec spec;
    spec.ttl = 200;
    spec.payload = Bytes(kSize, 7);
    packets::put32(spec.payload.data(), plan_.sender == Sender::kSaysTheSame ? 0 : sent_);
    switch (plan_.sender) {
      case Sender::kCounts:
      case Sender::kCountsAndForbidsFragments:
        spec.id = static_cast<uint16_t>(first_id_ + sent_);
        if (spec.id < kFirstIdentification) spec.id = kFirstIdentification;
        break;
      case Sender::kGivesAny:
        spec.id = static_cast<uint16_t>(kFirstIdentification + random_() % 60'000);
        break;
      case Sender::kGivesSome:
        spec.id = sent_ % 5 == 0 ? uint16_t{0} : static_cast<uint16_t>(10'000 + sent_);
        break;
      case Sender::kGivesNone:
      case Sender::kSaysTheSame:
        spec.id = 0;
    }
    if (plan_.sender != Sender::kCounts) spec.flags = kDontFragment;
    sent_++;
    return packets::ip_packet(spec);
  }

  // As it arrives over a wire that leaves checksums and cutting to the receiver.
  Datagram parse(const Frame& frame) {
    VnetHeader offload{};
    offload.flags = kVnetNeedsChecksum;
    offload.csum_start = kLink + 20;
    offload.csum_offset = 6;
    if (frame.segment != 0) {
      offload.gso_type = kVnetGsoUdpL4;
      offload.gso_size = static_cast<uint16_t>(frame.segment);
      offload.hdr_len = kHeaders;
    }
    Datagram datagram;
    CHECK(parse_frame(frame.bytes.data(), frame.bytes.size(), frame.bytes.size(), kLink, offload,
                      datagram)
              .status == ParseStatus::kOk);
    return datagram;
  }

  void pass_on(size_t index, const Train& train) {
    if (plan_.super_frames && train.size() > 1) {
      Bytes bytes(kLink + train.merged().ip_length);
      std::copy_n(train.packet(0) - kLink, kLink, bytes.begin());
      train.write_headers(bytes.data() + kLink);
      train.write_payload(bytes.data() + kHeaders);
      pass_on(index, {std::move(bytes), train.merged().segment_size});
      return;
    }
    for (size_t i = 0; i < train.size(); i++) {
      const Datagram datagram = train.datagram(i);
      const uint8_t* begin = train.packet(i) - kLink;
      pass_on(index, {Bytes(begin, begin + kLink + datagram.ip_length), datagram.segment_size});
    }
  }

  void pass_on(size_t index, Frame frame) {
    uint8_t* ip = frame.bytes.data() + kLink;
    if (index == 0) {
      for (size_t at = kHeaders; at < frame.bytes.size(); at += kSize) {
        passed_[number_of(frame.bytes.data() + at)]++;
      }
    }
    frame.bytes[11] = static_cast<uint8_t>(0x40 + index);
    if (plan_.sets_source) packets::put32(ip + 12, 0x0a000001 + static_cast<uint32_t>(index));
    ip[8] = static_cast<uint8_t>(plan_.sets_ttl ? 16 : ip[8] - 1);
    CHECK(ip[8] > 0);
    Bytes header(ip, ip + 20);
    packets::set_ip_checksum(header);
    std::copy(header.begin(), header.end(), ip);
    relays_[(index + 1) % relays_.size()].queue.push_back(std::move(frame));
  }

  const Plan plan_;
  std::mt19937 random_;
  std::deque<Relay> relays_;
  uint64_t now_ = kStart;
  uint16_t first_id_ = 0;
  uint32_t sent_ = 0;
  std::map<uint32_t, uint32_t> passed_;
};

template <typename Test>
void each_plan(Test&& test) {
  for (const Sender sender :
       {Sender::kCounts, Sender::kCountsAndForbidsFragments, Sender::kGivesNone, Sender::kGivesSome,
        Sender::kGivesAny, Sender::kSaysTheSame}) {
    for (uint32_t bits = 0; bits < 16; bits++) {
      const Plan plan{sender, 2 + (bits & 1), (bits & 2) != 0, (bits & 4) != 0, (bits & 8) != 0};
      for (uint32_t seed = 1; seed <= 5; seed++) test(plan, bits * 100 + seed);
    }
  }
}

void knows_a_loop_of_few_packets_after_eight_rounds() {
  each_plan([](const Plan& plan, uint32_t seed) {
    Loop loop(plan, seed);
    const uint32_t few = 1 + seed * 7 % (LoopWatch::kBudget / kRounds - 1);
    loop.send(few);
    loop.run_until_at_rest();
    CHECK(loop.known());
    const bool same = plan.sender == Sender::kSaysTheSame;
    if (same) {
      CHECK(loop.passed(0) >= kRounds);
      CHECK(loop.passed(0) <= kRounds * few);
    } else {
      CHECK_EQ(loop.passed(0), kRounds);
      for (uint32_t i = 1; i < few; i++) {
        CHECK(loop.passed(i) >= 1);
        CHECK(loop.passed(i) <= kRounds);
      }
    }
    // And from then on each of those that still come once more than it was sent.
    const uint32_t before = same ? loop.passed(0) : 0;
    for (int i = 0; i < 20; i++) {
      loop.send(5);
      loop.run_until_at_rest();
    }
    if (same) CHECK(loop.passed(0) <= before + 2 * (loop.sent() - few));
    for (uint32_t i = few; i < loop.sent() && !same; i++) {
      CHECK(loop.passed(i) >= 1);
      CHECK(loop.passed(i) <= 2);
    }
  });
}

// A stream that goes on, of senders that count, and relays that have more to do. One more for what
// is ahead of the packet by which the loop is known, and two for what was not shown until then.
void knows_a_loop_of_many_packets_as_well() {
  each_plan([](const Plan& plan, uint32_t seed) {
    const bool counts =
        plan.sender == Sender::kCounts || plan.sender == Sender::kCountsAndForbidsFragments;
    if (seed % 100 > 2 || !(counts || plan.sender == Sender::kGivesNone)) return;
    Loop loop(plan, seed);
    loop.keep_busy();
    loop.send(LoopWatch::kChosen);
    for (int i = 0; i < 40; i++) {
      loop.send(20);
      for (int step = 0; step < 5 && !loop.at_rest(); step++) loop.step();
    }
    loop.run_until_at_rest();
    CHECK(loop.known());
    for (uint32_t i = 0; i < loop.sent(); i++) {
      CHECK(loop.passed(i) >= 1);
      CHECK(loop.passed(i) <= kRounds + 3);
    }
  });
}

}  // namespace

int main() {
  knows_a_loop_of_few_packets_after_eight_rounds();
  knows_a_loop_of_many_packets_as_well();
}
