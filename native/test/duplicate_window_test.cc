// Senders that repeat themselves, redundant ways and streams: what is not taken for a loop.
#include "forwarder/duplicate_window.h"

#include <functional>
#include <random>
#include <vector>

#include "arrivals.h"
#include "check.h"
#include "packet/identification.h"
#include "packets.h"

using namespace mcfleet;
using namespace arrivals;

namespace {

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

// Whether a packet is remembered: of its copies with the headers of another sender, one too many
// is refused then. Each `number` has its own, so that none is refused for what came before it.
bool remembers(DuplicateWindow& window, uint32_t number, uint64_t now) {
  Arrival copy = numbered(number);
  copy.station = 2;
  copy.spec.source += 1 + number;
  for (uint32_t i = 0; i < DuplicateWindow::kTolerated; i++) CHECK(!repeated(window, copy, now));
  return repeated(window, copy, now);
}

void forgets_the_oldest_when_full() {
  DuplicateWindow window;
  constexpr uint32_t kSent = 4 * DuplicateWindow::kEntries;
  constexpr uint32_t kAsked = 2000;
  uint64_t now = kStart;
  for (uint32_t i = 0; i < kSent; i++) {
    CHECK(!repeated(window, numbered(i), now));
    now += kMillisecond / 200;
  }
  CHECK(now - kStart < DuplicateWindow::kWindowNs);
  uint32_t last = 0;
  for (uint32_t i = kSent - kAsked; i < kSent; i++) last += remembers(window, i, now);
  uint32_t first = 0;
  for (uint32_t i = 0; i < kAsked; i++) first += remembers(window, i, now);
  // Places are shared by what has the same hash, some by more than others.
  CHECK(last >= kAsked - kAsked / 100);
  CHECK(first <= kAsked / 100);
}

// A mark that does not come back is not waited for any longer: the next sender gets its own.
void marks_one_sender_after_the_other() {
  for (const uint32_t flow_label : {0U, 0x12345U}) {
    DuplicateWindow window;
    uint64_t now = kStart;
    for (uint8_t station = 1; station <= 3; station++) {
      Arrival sent = numbered(station);
      sent.station = station;
      sent.flow_label = flow_label;
      uint32_t marks = 0;
      for (int i = 0; i < 2000; i++) {
        marks += marked(window, sent, now) ? 1 : 0;
        now += kMillisecond;
      }
      CHECK_EQ(marks, RepeatProbe::kCopies);
    }
    CHECK(!window.in_loop(now));
  }
}

}  // namespace

int main() {
  takes_others_that_repeat_themselves_beside_a_loop();
  takes_senders_that_repeat_themselves();
  takes_many_who_say_the_same(false);
  takes_many_who_say_the_same(true);
  takes_senders_that_use_many_identifications();
  takes_senders_that_move();
  takes_redundant_streams();
  takes_streams_of_any_packets();
  forgets();
  forgets_the_oldest_when_full();
  marks_one_sender_after_the_other();
}
