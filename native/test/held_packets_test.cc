// Packets of which it is not known yet whether they left are accounted once, whatever becomes
// known.
#include "ring/held_packets.h"

#include <deque>
#include <random>
#include <vector>

#include "check.h"

using namespace mcfleet;

namespace {

uint64_t lost(const OutputCounters& counters) {
  return counters.drops.get(DropReason::kNoNeighbour);
}

void accounts_what_left_and_what_did_not() {
  HeldPackets held;
  OutputCounters a;
  OutputCounters b;
  held.hold({&a, 1, 100, true});
  held.hold({&b, 1, 200, true});
  held.hold({&a, 1, 300, true});
  held.account_left();
  CHECK_EQ(a.packets.get() + lost(a), 0U);
  held.leave(1);
  held.leave(1);
  held.leave(3);
  held.leave(0xffffffff);
  held.account_left();
  // The first one may still leave.
  CHECK_EQ(b.packets.get() + lost(b), 0U);
  held.leave(0);
  held.account_left();
  CHECK_EQ(a.packets.get(), 1U);
  CHECK_EQ(b.bytes.get(), 200U);
  CHECK(!held.empty());
  held.account_all();
  CHECK(held.empty());
  CHECK_EQ(a.packets.get(), 1U);
  CHECK_EQ(a.bytes.get(), 100U);
  CHECK_EQ(lost(a), 1U);
  CHECK_EQ(lost(b), 0U);
}

void accounts_a_datagram_in_fragments_as_one() {
  HeldPackets held;
  OutputCounters counters;
  const auto datagram = [&] {
    held.hold({&counters, 1, 3000, false});
    held.hold({&counters, 1, 3000, false});
    held.hold({&counters, 1, 3000, true});
  };
  datagram();
  datagram();
  for (const uint32_t number : {0U, 1U, 2U, 3U, 5U}) held.leave(number);
  held.account_all();
  CHECK_EQ(counters.packets.get(), 1U);
  CHECK_EQ(counters.bytes.get(), 3000U);
  CHECK_EQ(lost(counters), 1U);
  // The rest of this one was refused, and it is accounted elsewhere.
  held.hold({&counters, 1, 3000, false});
  held.cut();
  held.hold({&counters, 1, 50, true});
  held.leave(7);
  held.account_all();
  CHECK_EQ(counters.packets.get(), 2U);
  CHECK_EQ(lost(counters), 1U);
  // What was refused with a number of its own.
  held.hold({&counters, 1, 3000, false});
  held.skip();
  held.hold({&counters, 1, 50, true});
  held.leave(10);
  held.account_all();
  CHECK_EQ(counters.packets.get(), 3U);
  CHECK_EQ(lost(counters), 1U);
  // A whole one before it is not cut.
  held.hold({&counters, 1, 50, true});
  held.cut();
  held.account_all();
  CHECK_EQ(lost(counters), 2U);
}

// Against a list, over many rounds through its room.
void accounts_each_once() {
  struct Sent {
    OutputCounters* counters;
    bool left;
  };
  std::mt19937 random(7);
  HeldPackets held;
  OutputCounters counters[3];
  uint64_t left[3]{};
  uint64_t missing[3]{};
  std::deque<Sent> expected;
  uint32_t first = 0;
  for (int round = 0; round < 20'000; round++) {
    for (size_t i = random() % 40; i > 0 && held.room() > 0; i--) {
      OutputCounters* of = &counters[random() % 3];
      held.hold({of, 1, 10, true});
      expected.push_back({of, false});
    }
    CHECK_EQ(held.room(), HeldPackets::kCapacity - expected.size());
    for (size_t i = random() % 60; i > 0; i--) {
      const auto number = static_cast<uint32_t>(first + random() % (expected.size() + 20));
      held.leave(number);
      if (number - first < expected.size()) expected[number - first].left = true;
    }
    const bool all = random() % 50 == 0;
    all ? held.account_all() : held.account_left();
    while (!expected.empty() && (all || expected.front().left)) {
      const Sent& sent = expected.front();
      (sent.left ? left : missing)[sent.counters - counters]++;
      expected.pop_front();
      first++;
    }
    for (size_t i = 0; i < 3; i++) {
      CHECK_EQ(counters[i].packets.get(), left[i]);
      CHECK_EQ(counters[i].bytes.get(), 10 * left[i]);
      CHECK_EQ(lost(counters[i]), missing[i]);
    }
  }
  CHECK(first > 10 * HeldPackets::kCapacity);
}

}  // namespace

int main() {
  accounts_what_left_and_what_did_not();
  accounts_a_datagram_in_fragments_as_one();
  accounts_each_once();
}
