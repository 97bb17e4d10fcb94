// Loops, senders that repeat themselves, and streams: what is taken for a loop and what is not.
#include "forwarder/duplicate_window.h"

#include <deque>
#include <random>

#include "check.h"
#include "packets.h"

using namespace mcfleet;
using packets::Bytes;

namespace {

constexpr uint64_t kMillisecond = 1'000'000;
constexpr uint64_t kSecond = 1000 * kMillisecond;
constexpr uint64_t kStart = 1'700'000'000 * kSecond;

// A packet as it arrives: its station is the last byte of the Ethernet source address.
struct Arrival {
  packets::Spec spec;
  uint8_t station = 1;
};

bool repeated(DuplicateWindow& window, const Arrival& arrival, uint64_t now) {
  Bytes frame = packets::frame(packets::ip_packet(arrival.spec));
  frame[11] = arrival.station;
  Datagram datagram;
  CHECK(parse_frame(frame.data(), frame.size(), frame.size(), 14, {}, datagram).status ==
        ParseStatus::kOk);
  return window.repeated(frame.data() + 14, 14, datagram, now);
}

Arrival numbered(uint32_t number, size_t size = 200) {
  Arrival arrival;
  arrival.spec.payload = Bytes(size, 7);
  packets::put32(arrival.spec.payload.data(), number);
  return arrival;
}

// Two relays send everything back to each other; each packet that is passed on comes back after
// `round_trip`. Returns how many were passed on of `count` that a source sends.
size_t passed_in_a_loop(uint64_t gap, uint64_t round_trip, bool keeps_ttl, uint32_t count) {
  DuplicateWindow window;
  std::deque<std::pair<uint64_t, Arrival>> coming_back;
  size_t passed = 0;
  uint64_t now = kStart;
  const auto arrive = [&](const Arrival& arrival) {
    if (repeated(window, arrival, now)) return;
    passed++;
    Arrival back = arrival;
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
    arrive(numbered(i));
  }
  come_back_until(now + 60 * kSecond);
  CHECK(coming_back.empty());
  return passed;
}

void ends_loops() {
  for (const bool keeps_ttl : {true, false}) {
    for (const uint64_t round_trip : {kMillisecond / 10, kMillisecond, 100 * kMillisecond}) {
      const size_t passed = passed_in_a_loop(kMillisecond, round_trip, keeps_ttl, 2000);
      // Each at least once, and twice when the loop is known; until then eight times.
      CHECK(passed >= 2000);
      CHECK(passed <= 2000 * 2 + 6 * (1 + 8 * round_trip / kMillisecond));
    }
  }
  // A single packet.
  CHECK_EQ(passed_in_a_loop(kMillisecond, kMillisecond, true, 1), 8U);
}

void takes_senders_that_repeat_themselves() {
  DuplicateWindow window;
  for (uint64_t i = 0; i < 100'000; i++) {
    CHECK(!repeated(window, numbered(7), kStart + i * kMillisecond / 10));
  }
  // Two that say the same, five times a second each.
  Arrival other = numbered(7);
  other.station = 9;
  other.spec.source++;
  for (uint64_t i = 0; i < 20; i++) {
    const uint64_t now = kStart + 100 * kSecond + i * 400 * kMillisecond;
    CHECK(!repeated(window, numbered(7), now));
    CHECK(!repeated(window, other, now + 1));
  }
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
  takes_senders_that_repeat_themselves();
  takes_redundant_streams();
  takes_streams_of_any_packets();
  forgets();
}
