#include <random>

#include "check.h"
#include "probe/schedule.h"

using mcfleet::probe::Schedule;

namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;

void is_exact_at_whole_seconds() {
  for (const std::uint64_t rate :
       {1ULL, 3ULL, 7ULL, 1000ULL, 149'999ULL, 150'000ULL, 1'000'000ULL}) {
    const Schedule schedule(rate * 1000);
    for (const std::uint64_t seconds : {0ULL, 1ULL, 59ULL, 86'400ULL, 31'536'000ULL}) {
      CHECK(schedule.due_at(rate * seconds) == seconds * kSecond);
      CHECK(schedule.due_by(seconds * kSecond) == rate * seconds + 1);
    }
  }
  CHECK(Schedule(1).due_at(1) == 1000 * kSecond);  // one packet in a thousand seconds
}

// due_by is the count of packets whose due_at has come, at any rate and time.
void counts_what_is_due() {
  std::mt19937_64 random(3);
  for (int round = 0; round < 100'000; ++round) {
    const Schedule schedule(1 + random() % 100'000'000'000);
    const std::uint64_t elapsed = random() % (100'000 * kSecond);
    const std::uint64_t due = schedule.due_by(elapsed);
    CHECK(due >= 1);
    CHECK(schedule.due_at(due - 1) <= elapsed);
    CHECK(schedule.due_at(due) > elapsed);
  }
}

void saturates() {
  CHECK(Schedule(1).due_at(UINT64_MAX) == UINT64_MAX);
  CHECK(Schedule(100'000'000'000).due_at(UINT64_MAX) > 0);
}

}  // namespace

int main() {
  is_exact_at_whole_seconds();
  counts_what_is_due();
  saturates();
}
