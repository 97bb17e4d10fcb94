// Loops, senders that repeat themselves, and streams: what is taken for a loop and what is not.
#include "forwarder/duplicate_window.h"

#include <deque>
#include <functional>
#include <random>
#include <tuple>

#include "check.h"
#include "ipv6_packets.h"
#include "packet/identification.h"
#include "packets.h"

using namespace mcfleet;
using packets::Bytes;

namespace {

constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kSecond = 1000 * kMillisecond;
constexpr uint64_t kStart = 1'700'000'000 * kSecond;

// A packet as it arrives: its station is the last byte of the Ethernet source address. As IPv6 it
// has the spec's payload and TTL, and a flow label.
struct Arrival {
  packets::Spec spec;
  uint8_t station = 1;
  uint32_t flow_label = 0;
};

Bytes frame_of(const Arrival& arrival) {
  Bytes frame;
  if (arrival.flow_label != 0) {
    packets::ipv6::Spec spec;
    spec.payload = arrival.spec.payload;
    spec.hop_limit = arrival.spec.ttl;
    spec.flow_label = arrival.flow_label;
    frame = packets::ipv6::frame(packets::ipv6::ip_packet(spec));
  } else {
    frame = packets::frame(packets::ip_packet(arrival.spec));
  }
  frame[11] = arrival.station;
  return frame;
}

// What a worker does with it: `stamp` is given to what lacks an identification, which then stays in
// `arrival`, as a mark does.
bool repeated(DuplicateWindow& window, Arrival& arrival, uint64_t now, uint16_t stamp) {
  Bytes frame = frame_of(arrival);
  Datagram datagram;
  CHECK(parse_frame(frame.data(), frame.size(), frame.size(), 14, {}, datagram).status ==
        ParseStatus::kOk);
  uint8_t* ip = frame.data() + 14;
  if (datagram.ipv6 || !lacks_identification(ip)) {
    const auto verdict = window.judge(ip, 14, datagram, now, 0, true);
    if (verdict.mark == 0) return verdict.repeated;
    CHECK(!verdict.repeated);
    if (datagram.ipv6) {
      CHECK(verdict.mark <= 0xfffff && verdict.mark != arrival.flow_label);
      arrival.flow_label = verdict.mark;
    } else {
      CHECK(verdict.mark <= 0xffff && verdict.mark != arrival.spec.id);
      arrival.spec.id = static_cast<uint16_t>(verdict.mark);
      set_identification(ip, arrival.spec.id);
      CHECK(!lacks_identification(ip));
    }
    return false;
  }
  set_identification(ip, stamp);
  CHECK(packets::ip_checksum_right(ip));
  CHECK(!lacks_identification(ip));
  arrival.spec.id = stamp;
  window.remember(ip, 14, datagram, now, 0);
  return false;
}

bool repeated(DuplicateWindow& window, Arrival arrival, uint64_t now) {
  return repeated(window, arrival, now, kFirstIdentification);
}

Arrival numbered(uint32_t number, size_t size = 200) {
  Arrival arrival;
  arrival.spec.payload = Bytes(size, 7);
  packets::put32(arrival.spec.payload.data(), number);
  return arrival;
}

// As Linux sends what a program writes with sendto().
Arrival unidentified(uint32_t number, size_t size = 200) {
  Arrival arrival = numbered(number, size);
  arrival.spec.id = 0;
  arrival.spec.flags = 0x4000;
  return arrival;
}

// Two relays send everything back to each other; each packet that is passed on comes back after
// `round_trip`. Returns how many were passed on of `count` that a source sends.
size_t passed_in_a_loop(uint64_t gap, uint64_t round_trip, bool keeps_ttl, uint32_t count,
                        const std::function<Arrival(uint32_t)>& sent) {
  DuplicateWindow window;
  std::deque<std::pair<uint64_t, Arrival>> coming_back;
  size_t passed = 0;
  uint64_t now = kStart;
  uint16_t stamp = kFirstIdentification;
  const auto arrive = [&](Arrival back) {
    if (repeated(window, back, now, stamp++)) return;
    passed++;
    back.station = 2;
    back.spec.source = 0x0a000001;
    if (!keeps_ttl && back.spec.ttl > 1) back.spec.ttl = static_cast<uint8_t>(back.spec.ttl - 1);
    coming_back.emplace_back(now + round_trip, back);
  };
  const auto come_back_until = [&](uint64_t end) {
    while (!coming_back.empty() && coming_back.front().first <= end) {
      const auto [time, arrival] = coming_back.front();
      coming_back.pop_front();
      now = time;
      arrive(arrival);
      CHECK(passed < 100'000);
    }
    now = end;
  };
  for (uint32_t i = 0; i < count; i++) {
    come_back_until(kStart + i * gap);
    arrive(sent(i));
  }
  come_back_until(now + 60 * kSecond);
  CHECK(coming_back.empty());
  return passed;
}

void ends_loops() {
  const std::function<Arrival(uint32_t)> senders[] = {
      [](uint32_t i) { return numbered(i); },
      [](uint32_t i) { return unidentified(i); },
      // All the same.
      [](uint32_t) { return unidentified(7); },
  };
  for (const auto& sent : senders) {
    for (const bool keeps_ttl : {true, false}) {
      for (const uint64_t round_trip : {kMillisecond / 10, kMillisecond, 100 * kMillisecond}) {
        const size_t passed = passed_in_a_loop(kMillisecond, round_trip, keeps_ttl, 2000, sent);
        // Each at least once, and twice when the loop is known; until then eight times.
        CHECK(passed >= 2000);
        CHECK(passed <= 2000 * 2 + 6 * (1 + 8 * round_trip / kMillisecond));
      }
    }
    // A single packet.
    CHECK_EQ(passed_in_a_loop(kMillisecond, kMillisecond, true, 1, sent), 8U);
  }
  // A sender that gives all of its equal packets one identification, and not zero: what comes back
  // is taken for that of others, up to seven times what it sends, and no further.
  const auto one_for_all = [](uint32_t) { return numbered(7); };
  CHECK(passed_in_a_loop(kMillisecond, kMillisecond, true, 2000, one_for_all) <= 8 * 2000);
}

// Most of a burst is not shown to the window before a loop is known: it meets them when they come
// back, as if they had never been elsewhere.
void ends_what_went_round_unseen() {
  DuplicateWindow window;
  Arrival seen = numbered(0);
  CHECK(!repeated(window, seen, kStart));
  seen.station = 2;
  Arrival unseen = numbered(1);
  unseen.station = 2;
  for (uint64_t i = 0; i < 7; i++) {
    const uint64_t now = kStart + i * kMillisecond;
    CHECK(!window.in_loop(now));
    CHECK(!repeated(window, seen, now));
    CHECK(!repeated(window, unseen, now));
  }
  CHECK(repeated(window, seen, kStart + 8 * kMillisecond));
  CHECK(window.in_loop(kStart + 8 * kMillisecond));
  CHECK(repeated(window, unseen, kStart + 9 * kMillisecond));
  // Known by now, but never met: once.
  Arrival late = numbered(2);
  late.station = 2;
  CHECK(!repeated(window, late, kStart + 10 * kMillisecond));
  CHECK(repeated(window, late, kStart + 11 * kMillisecond));
  CHECK(!window.in_loop(kStart + 8 * kMillisecond + DuplicateWindow::kLoopNs + 1));
}

// Also those with one identification for all, as in IPv6, whose flow label does not count.
void takes_others_that_repeat_themselves_beside_a_loop() {
  DuplicateWindow window;
  Arrival round = numbered(0);
  CHECK(!repeated(window, round, kStart));
  round.station = 2;
  for (int i = 0; i < 7; i++) CHECK(!repeated(window, round, kStart));
  CHECK(repeated(window, round, kStart));
  // From another station, and from that of the loop to another group.
  Arrival other = numbered(1);
  other.station = 3;
  Arrival elsewhere = numbered(2);
  elsewhere.station = 2;
  elsewhere.spec.destination++;
  for (uint64_t i = 0; i < 1000; i++) {
    const uint64_t now = kStart + i * kMillisecond;
    CHECK(window.in_loop(now));
    CHECK(!repeated(window, other, now));
    CHECK(!repeated(window, elsewhere, now));
  }
}

// Whether a copy is marked, of a sender of whom nothing is refused.
bool marked(DuplicateWindow& window, const Arrival& sent, uint64_t now) {
  Arrival arrival = sent;
  CHECK(!repeated(window, arrival, now, kFirstIdentification));
  return arrival.spec.id != sent.spec.id || arrival.flow_label != sent.flow_label;
}

void takes_senders_that_repeat_themselves() {
  for (const uint32_t flow_label : {0U, 0x12345U}) {
    DuplicateWindow window;
    Arrival sent = numbered(7);
    sent.flow_label = flow_label;
    uint64_t marks = 0;
    constexpr uint64_t kCount = 250'000;
    for (uint64_t i = 0; i < kCount; i++) {
      marks += marked(window, sent, kStart + i * kMillisecond / 10);
      CHECK(!window.in_loop(kStart + i * kMillisecond / 10));
    }
    // Some leave with another identification, now and then.
    CHECK(marks >= RepeatProbe::kCopies);
    CHECK(marks <=
          RepeatProbe::kCopies * (1 + kCount * kMillisecond / 10 / RepeatProbe::kSenderNs));
  }
  DuplicateWindow window;
  // Two that say the same with the same identification, a hundred times a second each.
  Arrival other = numbered(7);
  other.station = 9;
  other.spec.source++;
  for (uint64_t i = 0; i < 2000; i++) {
    const uint64_t now = kStart + 100 * kSecond + i * 10 * kMillisecond;
    CHECK(!repeated(window, numbered(7), now));
    CHECK(!repeated(window, other, now + 1));
  }
}

// Discovery, heartbeats of a cluster, a stream of padding from two sources: a hundred hosts say the
// same as often as they like, in any order; those without identification also while a loop is
// known.
void takes_many_who_say_the_same(bool in_loop) {
  std::mt19937 random(43);
  DuplicateWindow window;
  if (in_loop) {
    Arrival back = numbered(1);
    CHECK(!repeated(window, back, kStart));
    back.station = 99;
    for (int i = 0; i < 8; i++) CHECK(repeated(window, back, kStart) == (i == 7));
  }
  std::vector<uint16_t> counters(100);
  for (uint16_t& counter : counters) counter = static_cast<uint16_t>(random());
  uint16_t stamp = kFirstIdentification;
  uint32_t kept_back = 0;
  for (uint64_t i = 0; i < 200'000; i++) {
    auto host = static_cast<uint8_t>(random() % counters.size());
    if (in_loop) host = static_cast<uint8_t>(host & ~1U);
    // Linux with sendto(), with a connected or segmenting socket, and with fragments allowed.
    Arrival arrival = unidentified(7);
    if (host % 4 == 1) arrival.spec.id = counters[host]++;
    if (host % 4 == 2) arrival.spec.id = static_cast<uint16_t>(random() % 20);
    if (host % 4 == 3) {
      arrival.spec.id = counters[host]++;
      arrival.spec.flags = 0;
    }
    arrival.station = host;
    arrival.spec.source += host;
    const uint64_t now = kStart + i * (i % 2 == 0 ? 20'000 : 20'001);
    kept_back += repeated(window, arrival, now, stamp);
    if (++stamp == 0) stamp = kFirstIdentification;
  }
  CHECK_EQ(kept_back, 0U);
}

// What is equal but for identifications and flow labels, of which one may be that of a mark.
void takes_senders_that_use_many_identifications() {
  std::mt19937 random(47);
  DuplicateWindow window;
  const auto send_for_six_seconds = [&](const std::function<void(Arrival&, uint32_t)>& number) {
    for (uint32_t i = 0; i < 60'000; i++) {
      Arrival arrival = numbered(7);
      number(arrival, i);
      CHECK(!repeated(window, arrival, kStart + i * kMillisecond / 10));
    }
  };
  // In turns, by chance, and as the segments of super-frames that overlap.
  send_for_six_seconds([](Arrival& arrival, uint32_t i) {
    arrival.spec.id = static_cast<uint16_t>(1024 + i % 1000);
  });
  send_for_six_seconds([&](Arrival& arrival, uint32_t) {
    arrival.spec.id = static_cast<uint16_t>(1024 + random() % 1024);
  });
  for (const uint32_t segments : {20U, 64U, 128U}) {
    send_for_six_seconds([&](Arrival& arrival, uint32_t i) {
      arrival.spec.id = static_cast<uint16_t>(30'000 + i / segments + i % segments);
    });
  }
  send_for_six_seconds([&](Arrival& arrival, uint32_t) {
    arrival.flow_label = static_cast<uint32_t>(1 + random() % 0xfffff);
  });
}

// A relay put it into the loop with the headers that it comes back with.
void ends_loops_that_look_like_a_sender() {
  for (const uint32_t flow_label : {0U, 0x12345U}) {
    for (const bool all_the_same : {false, true}) {
      for (const uint64_t round_trip : {kMillisecond / 2, kMillisecond, 20 * kMillisecond}) {
        DuplicateWindow window;
        std::deque<std::pair<uint64_t, Arrival>> coming_back;
        size_t passed = 0;
        uint64_t known = 0;
        // A hundred packets a second, for ten seconds.
        for (uint32_t i = 0; i < 1000 || !coming_back.empty();) {
          const uint64_t next = kStart + i * 10 * kMillisecond;
          Arrival arrival;
          uint64_t now = next;
          if (i < 1000 && (coming_back.empty() || next <= coming_back.front().first)) {
            arrival = numbered(all_the_same ? 0 : i);
            arrival.flow_label = flow_label;
            i++;
          } else {
            std::tie(now, arrival) = coming_back.front();
            coming_back.pop_front();
          }
          const bool refused = repeated(window, arrival, now, kFirstIdentification);
          if (known == 0 && window.in_loop(now)) known = now;
          if (refused) continue;
          passed++;
          CHECK(passed < 10'000'000);
          coming_back.emplace_back(now + round_trip, arrival);
        }
        // A packet is asked when it came often, in IPv4 also for a second, and then it takes a
        // round for each proof.
        const uint64_t rounds = DuplicateWindow::kOften + RepeatProbe::kProofs + 1;
        const uint64_t known_after =
            (flow_label == 0 ? RepeatProbe::kLongNs : 0) + rounds * round_trip;
        CHECK(known != 0 && known - kStart <= known_after + 10 * kMillisecond);
        // Where it is all the same, what the sender goes on to say is taken for what comes back,
        // and then for that of a sender, until it is asked again.
        if (all_the_same) continue;
        // Those that were there before the loop was known went round until then.
        const uint64_t before = 2 + known_after / (10 * kMillisecond);
        CHECK(passed >= 1000);
        CHECK(passed <= 1000 + before * (2 + known_after / round_trip));
      }
      // A single one.
      DuplicateWindow window;
      Arrival arrival = numbered(1);
      arrival.flow_label = flow_label;
      uint64_t rounds = 0;
      while (!repeated(window, arrival, kStart + rounds * kMillisecond, kFirstIdentification)) {
        rounds++;
        CHECK(rounds < 10'000);
      }
      const uint64_t asked = flow_label == 0
                                 ? DuplicateWindow::kOften + RepeatProbe::kLongNs / kMillisecond
                                 : DuplicateWindow::kOften;
      CHECK_EQ(rounds, asked - 1 + RepeatProbe::kProofs);
    }
  }
}

// A packet with a mark may be lost, and one that never comes back proves nothing.
void marks_again_what_was_lost() {
  std::mt19937 random(53);
  for (const uint32_t flow_label : {0U, 0x12345U}) {
    DuplicateWindow window;
    std::deque<std::pair<uint64_t, Arrival>> coming_back;
    const auto begin = [&](uint32_t i, uint64_t now) {
      Arrival arrival = numbered(i);
      arrival.flow_label = flow_label;
      coming_back.emplace_back(now, arrival);
    };
    // One in a thousand is lost, and new ones come for those.
    uint32_t sent = 0;
    for (; sent < 20; sent++) begin(sent, kStart + sent);
    uint64_t now = kStart;
    while (!coming_back.empty()) {
      CHECK(now < kStart + 20 * kSecond);
      Arrival arrival;
      std::tie(now, arrival) = coming_back.front();
      coming_back.pop_front();
      if (repeated(window, arrival, now, kFirstIdentification)) continue;
      if (random() % 1000 != 0) {
        coming_back.emplace_back(now + kMillisecond, arrival);
      } else if (!window.in_loop(now)) {
        begin(sent++, now + kMillisecond);
      }
    }
    CHECK(window.in_loop(now));
  }
  // The last of a sender had one.
  DuplicateWindow window;
  for (uint64_t i = 0; i < DuplicateWindow::kOften; i++) {
    Arrival arrival = numbered(1);
    arrival.flow_label = 0x12345;
    const bool is_marked = marked(window, arrival, kStart + i * kMillisecond);
    CHECK(is_marked == (i == DuplicateWindow::kOften - 1));
  }
  for (uint64_t i = 0; i < 1000; i++) {
    Arrival arrival = numbered(2);
    arrival.flow_label = 0x12345;
    CHECK(!repeated(window, arrival, kStart + kSecond + i * kMillisecond));
    CHECK(!window.in_loop(kStart + kSecond + i * kMillisecond));
  }
}

// Another router brings it from now on.
void takes_senders_that_move() {
  DuplicateWindow window;
  Arrival arrival = numbered(7);
  for (uint64_t i = 0; i < 25; i++) {
    CHECK(!repeated(window, arrival, kStart + i * 20 * kMillisecond));
  }
  arrival.station = 9;
  arrival.spec.ttl--;
  uint32_t refused = 0;
  uint64_t last_refused = 0;
  for (uint64_t i = 25; i < 1000; i++) {
    if (!repeated(window, arrival, kStart + i * 20 * kMillisecond)) continue;
    refused++;
    last_refused = i;
  }
  // It is refused as long as it may be a loop whose way takes so long, and never again.
  CHECK(refused <= 2 * DuplicateWindow::kWindowNs / (20 * kMillisecond));
  CHECK(last_refused < 500);
}

void takes_redundant_streams() {
  DuplicateWindow window;
  Arrival other = numbered(0);
  for (uint32_t i = 0; i < 50'000; i++) {
    const uint64_t now = kStart + i * kMillisecond / 10;
    CHECK(!repeated(window, numbered(i), now));
    Arrival copy = numbered(i);
    copy.station = 9;
    copy.spec.ttl--;
    CHECK(!repeated(window, copy, now + 1000));
  }
}

void takes_streams_of_any_packets() {
  std::mt19937 random(41);
  DuplicateWindow window;
  for (uint64_t i = 0; i < 100'000; i++) {
    Arrival arrival{packets::random_spec(random, 300), static_cast<uint8_t>(random())};
    // Shorter ones are the same by chance.
    if (arrival.spec.payload.size() < 8) continue;
    CHECK(!repeated(window, arrival, kStart + i * 1000));
  }
}

void forgets() {
  DuplicateWindow window;
  for (uint8_t station = 0; station < 8; station++) {
    Arrival arrival = numbered(1);
    arrival.station = station;
    CHECK(!repeated(window, arrival, kStart + station));
  }
  Arrival late = numbered(1);
  late.station = 99;
  CHECK(repeated(window, late, kStart + 10));
  CHECK(!repeated(window, late, kStart + 3 * kSecond));
  // The clock was set back.
  CHECK(!repeated(window, numbered(1), kStart - 3600 * kSecond));
}

}  // namespace

int main() {
  ends_loops();
  ends_what_went_round_unseen();
  takes_others_that_repeat_themselves_beside_a_loop();
  takes_senders_that_repeat_themselves();
  takes_many_who_say_the_same(false);
  takes_many_who_say_the_same(true);
  ends_loops_that_look_like_a_sender();
  takes_senders_that_use_many_identifications();
  marks_again_what_was_lost();
  takes_senders_that_move();
  takes_redundant_streams();
  takes_streams_of_any_packets();
  forgets();
}
