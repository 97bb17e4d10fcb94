// Packets of which it is not known yet whether they left are accounted once, whatever becomes
// known.
#include "ring/held_packets.h"

#include <algorithm>
#include <deque>
#include <memory>
#include <random>
#include <vector>

#include "check.h"

using namespace mcfleet;

namespace {

constexpr auto kQueue = HeldPackets::LeavesAt::kQueue;
constexpr auto kDevice = HeldPackets::LeavesAt::kDevice;

uint64_t lost(const OutputCounters& counters) {
  return counters.drops.get(DropReason::kNoNeighbour);
}

uint64_t refused(const OutputCounters& counters) {
  return counters.drops.get(DropReason::kTxFull);
}

void accounts_what_left_and_what_did_not() {
  HeldPackets held;
  OutputCounters a;
  OutputCounters b;
  held.hold({&a, 1, 100, true}, kQueue);
  held.hold({&b, 1, 200, true}, kQueue);
  held.hold({&a, 1, 300, true}, kQueue);
  held.account_left();
  CHECK_EQ(a.packets.get() + lost(a), 0U);
  held.queue(1);
  held.queue(1);
  held.queue(3);
  held.queue(0xffffffff);
  held.account_left();
  // The first one may still leave.
  CHECK_EQ(b.packets.get() + lost(b), 0U);
  held.queue(0);
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

void accounts_nothing_where_nobody_reads() {
  HeldPackets held;
  OutputCounters stays;
  auto gone = std::make_unique<OutputCounters>();
  auto other = std::make_unique<OutputCounters>();
  for (int i = 0; i < 4; i++) {
    held.hold({&stays, 1, 100, true}, kQueue);
    held.hold({gone.get(), 1, 100, true}, kQueue);
    held.hold({other.get(), 1, 3000, false}, kQueue);
    held.hold({other.get(), 1, 100, true}, kQueue);
  }
  std::vector<const OutputCounters*> list{gone.get(), other.get()};
  std::sort(list.begin(), list.end());
  held.queue(0);
  held.forget(list);
  // AddressSanitizer tells of what is written there.
  gone.reset();
  other.reset();
  for (uint32_t i = 1; i < 12; i++) held.queue(i);
  held.account_left();
  held.account_all();
  CHECK_EQ(stays.packets.get(), 3U);
  CHECK_EQ(lost(stays), 1U);
}

void accounts_a_datagram_in_fragments_as_one() {
  HeldPackets held;
  OutputCounters counters;
  const auto datagram = [&] {
    held.hold({&counters, 1, 3000, false}, kQueue);
    held.hold({&counters, 1, 3000, false}, kQueue);
    held.hold({&counters, 1, 3000, true}, kQueue);
  };
  datagram();
  datagram();
  for (const uint32_t number : {0U, 1U, 2U, 3U, 5U}) held.queue(number);
  held.account_all();
  CHECK_EQ(counters.packets.get(), 1U);
  CHECK_EQ(counters.bytes.get(), 3000U);
  CHECK_EQ(lost(counters), 1U);
  // The rest of this one was refused, and it is accounted elsewhere.
  held.hold({&counters, 1, 3000, false}, kQueue);
  held.cut();
  held.hold({&counters, 1, 50, true}, kQueue);
  held.queue(7);
  held.account_all();
  CHECK_EQ(counters.packets.get(), 2U);
  CHECK_EQ(lost(counters), 1U);
  // What was refused with a number of its own.
  held.hold({&counters, 1, 3000, false}, kQueue);
  held.skip();
  held.hold({&counters, 1, 50, true}, kQueue);
  held.queue(10);
  held.account_all();
  CHECK_EQ(counters.packets.get(), 3U);
  CHECK_EQ(lost(counters), 1U);
  // A whole one before it is not cut.
  held.hold({&counters, 1, 50, true}, kQueue);
  held.cut();
  held.account_all();
  CHECK_EQ(lost(counters), 2U);
}

void tells_a_full_queue_from_a_neighbour_that_is_not_there() {
  HeldPackets held;
  OutputCounters counters;
  for (int i = 0; i < 5; i++) held.hold({&counters, 1, 100, true}, kDevice);
  CHECK_EQ(held.waiting(), 5U);
  for (const uint32_t number : {0U, 1U, 2U, 2U}) held.queue(number);
  CHECK_EQ(held.waiting(), 2U);
  // The queue may still refuse it.
  held.account_left();
  CHECK_EQ(counters.packets.get(), 0U);
  // Reports may come in any order, and twice.
  held.leave(0);
  held.leave(0);
  held.leave(3);
  held.queue(3);
  held.account_left();
  CHECK_EQ(counters.packets.get(), 1U);
  CHECK_EQ(held.waiting(), 1U);
  held.account_all();
  CHECK_EQ(held.waiting(), 0U);
  CHECK_EQ(counters.packets.get(), 2U);
  CHECK_EQ(refused(counters), 2U);
  CHECK_EQ(lost(counters), 1U);
  // A datagram is lost for what happened to its first fragment that is.
  for (const bool last : {false, false, true}) held.hold({&counters, 1, 3000, last}, kDevice);
  held.leave(5);
  held.queue(6);
  held.account_all();
  CHECK_EQ(refused(counters), 3U);
  CHECK_EQ(lost(counters), 1U);
  CHECK(!held.device_is_silent());
}

void believes_a_device_that_tells_nothing_no_longer() {
  HeldPackets held;
  OutputCounters counters;
  const auto give = [&](uint32_t first, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
      held.hold({&counters, 1, 100, true}, kDevice);
      held.queue(first + i);
    }
    held.account_all();
  };
  give(0, HeldPackets::kSilent - 1);
  CHECK(!held.device_is_silent());
  CHECK_EQ(counters.packets.get(), HeldPackets::kSilent - 1);
  give(HeldPackets::kSilent - 1, 1);
  CHECK(held.device_is_silent());
  CHECK_EQ(counters.packets.get(), HeldPackets::kSilent);
  // It does.
  held.hold({&counters, 1, 100, true}, kDevice);
  held.leave(HeldPackets::kSilent);
  CHECK(!held.device_is_silent());
  give(HeldPackets::kSilent + 1, HeldPackets::kSilent);
  CHECK(held.device_is_silent());
  CHECK_EQ(refused(counters), HeldPackets::kSilent);
  // Many that a queue threw away at one time are no such row, if others left between them.
  held.leave(0);
  const uint32_t next = 2 * HeldPackets::kSilent + 1;
  for (uint32_t i = 0; i < 2 * HeldPackets::kSilent; i++) {
    held.hold({&counters, 1, 100, true}, kDevice);
    i % 2 == 0 ? held.queue(next + i) : held.leave(next + i);
  }
  held.account_all();
  CHECK(!held.device_is_silent());
  CHECK_EQ(refused(counters), 2 * HeldPackets::kSilent);
  // Of another socket nothing is known.
  held.begin();
  CHECK(!held.device_is_silent());
  give(0, 1);
  CHECK_EQ(refused(counters), 2 * HeldPackets::kSilent);
}

// While a queue is never empty, one packet that it threw away must not keep the others for ever.
void gives_up_what_was_overtaken_by_many() {
  HeldPackets held;
  OutputCounters counters;
  const auto hold = [&] { held.hold({&counters, 1, 100, true}, kDevice); };
  for (uint32_t i = 0; i < HeldPackets::kCapacity; i++) {
    hold();
    held.queue(i);
  }
  CHECK_EQ(held.room(), 0U);
  // All of it may still be in the queue but the first.
  held.leave(1);
  held.account_overtaken();
  CHECK_EQ(held.room(), 0U);
  for (uint32_t i = 2; i < HeldPackets::kOvertaken; i++) held.leave(i);
  held.account_overtaken();
  CHECK_EQ(held.room(), 0U);
  held.leave(HeldPackets::kOvertaken);
  held.account_overtaken();
  CHECK_EQ(refused(counters), 1U);
  CHECK_EQ(held.room(), 1U);
  held.account_left();
  CHECK_EQ(held.room(), HeldPackets::kOvertaken + 1);
  CHECK_EQ(counters.packets.get(), HeldPackets::kOvertaken);
  // It left after all: it is not accounted twice.
  held.leave(0);
  held.account_all();
  CHECK_EQ(counters.packets.get() + refused(counters), HeldPackets::kCapacity);

  // Of a device that has told nothing yet it is not known what it would.
  HeldPackets unknown;
  OutputCounters sent;
  for (uint32_t i = 0; i < HeldPackets::kCapacity; i++) {
    unknown.hold({&sent, 1, 100, true}, kDevice);
    if (i < HeldPackets::kCapacity - 1) unknown.queue(i);
  }
  unknown.account_overtaken();
  CHECK_EQ(unknown.room(), HeldPackets::kCapacity - HeldPackets::kOvertaken);
  CHECK_EQ(sent.packets.get(), HeldPackets::kCapacity - HeldPackets::kOvertaken);
  CHECK(unknown.device_is_silent());
}

// Against a list, over many rounds through its room, with reports of both kinds in any order.
void accounts_each_once() {
  struct Sent {
    OutputCounters* counters;
    HeldPackets::LeavesAt leaves;
    bool queued;
    bool left;
    [[nodiscard]] bool gone() const { return left || (queued && leaves == kQueue); }
  };
  std::mt19937 random(7);
  HeldPackets held;
  OutputCounters counters[3];
  uint64_t left[3]{};
  uint64_t missing[3]{};
  uint64_t full[3]{};
  std::deque<Sent> expected;
  uint32_t first = 0;
  // The device tells.
  held.leave(0);
  for (int round = 0; round < 20'000; round++) {
    for (size_t i = random() % 40; i > 0 && held.room() > 0; i--) {
      OutputCounters* of = &counters[random() % 3];
      const auto leaves = random() % 2 == 0 ? kQueue : kDevice;
      held.hold({of, 1, 10, true}, leaves);
      expected.push_back({of, leaves, false, false});
    }
    CHECK_EQ(held.room(), HeldPackets::kCapacity - expected.size());
    for (size_t i = random() % 120; i > 0; i--) {
      const auto number = static_cast<uint32_t>(first + random() % (expected.size() + 20));
      const bool leaves = random() % 2 == 0;
      leaves ? held.leave(number) : held.queue(number);
      if (number - first >= expected.size()) continue;
      expected[number - first].queued = true;
      expected[number - first].left |= leaves;
    }
    const auto waiting = std::count_if(expected.begin(), expected.end(),
                                       [](const Sent& sent) { return !sent.queued; });
    CHECK_EQ(held.waiting(), static_cast<size_t>(waiting));
    const bool all = random() % 50 == 0;
    all ? held.account_all() : held.account_left();
    while (!expected.empty() && (all || expected.front().gone())) {
      const Sent& sent = expected.front();
      (sent.gone() ? left : sent.queued ? full : missing)[sent.counters - counters]++;
      expected.pop_front();
      first++;
    }
    for (size_t i = 0; i < 3; i++) {
      CHECK_EQ(counters[i].packets.get(), left[i]);
      CHECK_EQ(counters[i].bytes.get(), 10 * left[i]);
      CHECK_EQ(lost(counters[i]), missing[i]);
      CHECK_EQ(refused(counters[i]), full[i]);
    }
  }
  CHECK(first > 10 * HeldPackets::kCapacity);
}

}  // namespace

int main() {
  accounts_nothing_where_nobody_reads();
  accounts_what_left_and_what_did_not();
  accounts_a_datagram_in_fragments_as_one();
  tells_a_full_queue_from_a_neighbour_that_is_not_there();
  believes_a_device_that_tells_nothing_no_longer();
  gives_up_what_was_overtaken_by_many();
  accounts_each_once();
}
