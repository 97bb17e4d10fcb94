// What interfaces lose is summed up once, whatever becomes of the kernel's counters.
#include "forwarder/interface_losses.h"

#include <limits>
#include <random>
#include <utility>

#include "check.h"

using namespace mcfleet;

namespace {

// An interface as the kernel and the workers count.
struct Interface {
  InterfaceReading counters;

  explicit Interface(int ifindex, const char* name = "eth1", bool holds = true) {
    counters.statistics.ifindex = ifindex;
    counters.statistics.name = name;
    counters.statistics.queue = {holds, 0, 0};
  }
  RootQueue& queue() { return *counters.statistics.queue; }
};

InterfaceLoss take(InterfaceLosses& losses, const Interface& own, uint64_t time = 1) {
  losses.take({&own.counters, 1}, time);
  const auto all = losses.losses();
  CHECK_EQ(all.size(), 1U);
  return all.front();
}

void counts_from_the_first_use_on() {
  InterfaceLosses losses;
  Interface own(7);
  own.counters.statistics.tx_dropped = 5;
  own.counters.statistics.tx_errors = 6;
  own.queue().drops = 7;
  CHECK(take(losses, own, 42) == (InterfaceLoss{7, 0, 0, 0, 42}));
  own.counters.statistics.tx_dropped += 1;
  own.counters.statistics.tx_errors += 2;
  own.queue().drops += 3;
  CHECK(take(losses, own, 43) == (InterfaceLoss{7, 3, 1, 2, 42}));
}

// Refusals are read later than the kernel's counters, which have them first.
void tells_each_loss_once_beside_refusals(bool holds) {
  std::mt19937 random(3);
  for (int round = 0; round < 200; round++) {
    InterfaceLosses losses;
    Interface own(7, "eth1", holds);
    uint64_t lost = 0;
    const auto events = [&] {
      const auto refused = static_cast<uint32_t>(random() % 4 == 0 ? random() % 5 : 0);
      const auto late = static_cast<uint32_t>(random() % 4 == 0 ? random() % 5 : 0);
      lost += late;
      if (holds) {
        own.queue().drops += late + refused;
        own.counters.refused_queued += refused;
      } else {
        own.counters.statistics.tx_dropped += late + refused;
        own.counters.refused_frames += refused;
      }
    };
    take(losses, own);
    uint64_t told = 0;
    for (int i = 0; i < 50; i++) {
      for (uint64_t j = random() % 4; j > 0; j--) events();
      Interface reading = own;
      for (uint64_t j = random() % 4; j > 0; j--) events();
      reading.counters.refused_queued = own.counters.refused_queued;
      reading.counters.refused_frames = own.counters.refused_frames;
      const InterfaceLoss loss = take(losses, reading);
      CHECK_EQ(holds ? loss.device_dropped : loss.queue, 0U);
      const uint64_t now = holds ? loss.queue : loss.device_dropped;
      CHECK(now >= told && now <= lost);
      told = now;
    }
    const InterfaceLoss last = take(losses, own);
    CHECK_EQ(last.queue + last.device_dropped, lost);
  }
}

// What a worker has yet to find out may be told as drops of an output, later than the queue counts
// it.
void what_workers_still_look_for_is_not_told_twice() {
  std::mt19937 random(5);
  constexpr uint64_t kSecond = 1'000'000'000;
  for (int round = 0; round < 200; round++) {
    InterfaceLosses losses;
    Interface own(7);
    take(losses, own);
    uint64_t lost = 0;
    uint64_t told = 0;
    uint32_t found_later = 0;
    for (uint64_t second = 1; second < 60; second++) {
      const auto refused = static_cast<uint32_t>(random() % 3 == 0 ? random() % 5 : 0);
      const auto late = static_cast<uint32_t>(random() % 3 == 0 ? random() % 5 : 0);
      own.queue().drops += refused + late;
      lost += late;
      found_later += refused;
      own.counters.unsettled = found_later > 0;
      // At the latest after four seconds.
      if (second % 4 == 0) {
        own.counters.refused_queued += std::exchange(found_later, 0);
        own.counters.unsettled = false;
      }
      const InterfaceLoss loss = take(losses, own, second * kSecond);
      CHECK(loss.queue >= told && loss.queue <= lost);
      if (!own.counters.unsettled) CHECK_EQ(loss.queue, lost);
      told = loss.queue;
    }
  }
}

// Where packets are always under way nothing is ever settled, and losses are told all the same.
void what_is_in_doubt_for_long_is_told() {
  InterfaceLosses losses;
  Interface own(7);
  own.counters.unsettled = true;
  take(losses, own, 1);
  own.queue().drops += 3;
  constexpr uint64_t kDoubt = InterfaceLosses::kDoubtNs;
  CHECK_EQ(take(losses, own, kDoubt).queue, 0U);
  own.queue().drops += 4;
  CHECK_EQ(take(losses, own, 2 * kDoubt - 1).queue, 0U);
  CHECK_EQ(take(losses, own, 2 * kDoubt).queue, 3U);
  CHECK_EQ(take(losses, own, 3 * kDoubt).queue, 7U);
}

void what_something_else_refused_hides_no_later_loss() {
  InterfaceLosses losses;
  Interface own(7);
  take(losses, own);
  // Nothing in the kernel's counters stands for these.
  own.counters.refused_queued += 100;
  CHECK_EQ(take(losses, own).queue, 0U);
  CHECK_EQ(take(losses, own).queue, 0U);
  own.queue().drops += 10;
  CHECK_EQ(take(losses, own).queue, 10U);
}

// A device behind a queue tells nobody, so that nothing of what it drops was told as refused.
void refusals_of_a_queue_are_not_the_device_s() {
  InterfaceLosses losses;
  Interface own(7);
  take(losses, own);
  own.queue().drops += 4;
  own.counters.refused_queued += 4;
  own.counters.refused_frames += 80;
  own.counters.statistics.tx_dropped += 9;
  CHECK(take(losses, own) == (InterfaceLoss{7, 0, 9, 0, 1}));
}

void goes_on_when_counters_begin_again() {
  InterfaceLosses losses;
  Interface own(7);
  own.counters.statistics.tx_dropped = 1000;
  own.queue().drops = 1000;
  take(losses, own);
  own.counters.statistics.tx_dropped = 3;
  own.queue().drops = 4;
  CHECK(take(losses, own) == (InterfaceLoss{7, 4, 3, 0, 1}));
  // Another queue discipline, which has dropped more than the one before.
  own.queue() = {true, 0x10000, 50};
  CHECK_EQ(take(losses, own).queue, 54U);
  own.queue() = {false, 0, 0};
  CHECK_EQ(take(losses, own).queue, 54U);
  own.queue() = {true, 0, 1};
  CHECK_EQ(take(losses, own).queue, 55U);
}

void the_queue_s_counter_goes_round() {
  InterfaceLosses losses;
  Interface own(7);
  own.queue().drops = std::numeric_limits<uint32_t>::max() - 2;
  take(losses, own);
  own.queue().drops += 10;
  CHECK_EQ(own.queue().drops, 7U);
  CHECK_EQ(take(losses, own).queue, 10U);
}

void a_reading_without_the_queue_is_made_up_for() {
  InterfaceLosses losses;
  Interface own(7);
  own.queue().drops = 100;
  take(losses, own);
  Interface missed = own;
  missed.counters.statistics.queue.reset();
  CHECK_EQ(take(losses, missed).queue, 0U);
  own.queue().drops += 5;
  CHECK_EQ(take(losses, own).queue, 5U);
  // Missed at first, it counts from the reading that has it.
  InterfaceLosses others;
  take(others, missed);
  CHECK_EQ(take(others, own).queue, 0U);
  own.queue().drops += 5;
  CHECK_EQ(take(others, own).queue, 5U);
}

void sums_are_those_of_the_name() {
  InterfaceLosses losses;
  Interface first(7);
  take(losses, first, 1);
  first.counters.statistics.tx_dropped = 10;
  CHECK_EQ(take(losses, first).device_dropped, 10U);
  // It is deleted, and made again with another index; what that one lost before is not counted.
  losses.take({}, 2);
  CHECK(losses.losses().empty());
  Interface second(9);
  second.counters.statistics.tx_dropped = 100;
  CHECK(take(losses, second, 3) == (InterfaceLoss{9, 0, 10, 0, 1}));
  second.counters.statistics.tx_dropped = 101;
  CHECK(take(losses, second, 4) == (InterfaceLoss{9, 0, 11, 0, 1}));
  // The same with its old index.
  losses.take({}, 5);
  Interface again(9);
  again.counters.statistics.tx_dropped = 7;
  CHECK_EQ(take(losses, again, 6).device_dropped, 11U);
  again.counters.statistics.tx_dropped = 8;
  CHECK_EQ(take(losses, again, 7).device_dropped, 12U);
}

void remembers_so_many_and_forgets_the_oldest() {
  InterfaceLosses losses;
  const auto use = [&](int ifindex) {
    Interface own(ifindex, ("eth" + std::to_string(ifindex)).c_str());
    take(losses, own, static_cast<uint64_t>(ifindex));
    own.counters.statistics.tx_dropped = 1;
    return take(losses, own);
  };
  const auto count = static_cast<int>(InterfaceLosses::kRemembered);
  for (int i = 1; i <= count + 2; i++) CHECK_EQ(use(i).device_dropped, 1U);
  CHECK_EQ(use(3).device_dropped, 2U);
  CHECK(use(1) == (InterfaceLoss{1, 0, 1, 0, 1}));
}

}  // namespace

int main() {
  counts_from_the_first_use_on();
  tells_each_loss_once_beside_refusals(true);
  tells_each_loss_once_beside_refusals(false);
  what_workers_still_look_for_is_not_told_twice();
  what_is_in_doubt_for_long_is_told();
  what_something_else_refused_hides_no_later_loss();
  refusals_of_a_queue_are_not_the_device_s();
  goes_on_when_counters_begin_again();
  the_queue_s_counter_goes_round();
  a_reading_without_the_queue_is_made_up_for();
  sums_are_those_of_the_name();
  remembers_so_many_and_forgets_the_oldest();
}
