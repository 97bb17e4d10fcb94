// When a worker naps rather than sleeps.
#include "forwarder/arrival_density.h"

#include "check.h"

using namespace mcfleet;

namespace {

constexpr uint64_t kStart = 1'700'000'000'000'000'000;

bool dense(uint64_t frames, uint64_t gap) {
  ArrivalDensity arrivals;
  for (uint64_t i = 0; i < frames; i++) arrivals.add(kStart + i * gap);
  return arrivals.dense();
}

void tells_by_enough_frames() {
  CHECK(!dense(0, 0));
  CHECK(!dense(1, 1));
  CHECK(!dense(ArrivalDensity::kFrames - 1, 1));
  CHECK(dense(ArrivalDensity::kFrames, 1));
  CHECK(dense(100'000, 1));
}

void tells_by_the_time_between_them() {
  for (const uint64_t frames : {ArrivalDensity::kFrames, size_t{100}, size_t{100'000}}) {
    CHECK(dense(frames, ArrivalDensity::kGapNs - 1));
    CHECK(dense(frames, ArrivalDensity::kGapNs));
    CHECK(!dense(frames, 2 * ArrivalDensity::kGapNs));
  }
  // 100,000 a second, and a burst now and then.
  CHECK(!dense(1000, 10'000));
  ArrivalDensity bursts;
  for (uint64_t i = 0; i < 100; i++) bursts.add(kStart + i / 10 * 100'000 + i % 10);
  CHECK(!bursts.dense());
}

void begins_anew() {
  ArrivalDensity arrivals;
  for (uint64_t i = 0; i < 100; i++) arrivals.add(kStart + i);
  CHECK(arrivals.dense());
  arrivals.clear();
  CHECK(!arrivals.dense());
  // What was before the pause does not count.
  for (uint64_t i = 0; i < ArrivalDensity::kFrames; i++) {
    arrivals.add(kStart + 1'000'000'000 + i);
  }
  CHECK(arrivals.dense());
}

void survives_a_clock_that_is_set() {
  ArrivalDensity arrivals;
  for (uint64_t i = 0; i < 10; i++) arrivals.add(kStart - i * 1'000'000'000);
  CHECK(!arrivals.dense());
  arrivals.clear();
  for (uint64_t i = 0; i < 10; i++) arrivals.add(kStart - 3600'000'000'000 + i);
  CHECK(arrivals.dense());
}

}  // namespace

int main() {
  tells_by_enough_frames();
  tells_by_the_time_between_them();
  begins_anew();
  survives_a_clock_that_is_set();
}
