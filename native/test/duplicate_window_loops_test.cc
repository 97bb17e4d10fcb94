// Loops: what comes back again and again is refused, however it looks and whatever comes with it.
#include <deque>
#include <functional>
#include <random>
#include <tuple>

#include "arrivals.h"
#include "check.h"
#include "forwarder/duplicate_window.h"
#include "packet/identification.h"

using namespace mcfleet;
using namespace arrivals;

namespace {

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

}  // namespace

int main() {
  ends_loops();
  ends_what_went_round_unseen();
  ends_loops_that_look_like_a_sender();
  marks_again_what_was_lost();
}
