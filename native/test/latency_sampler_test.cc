// Of which packets the latency is taken, and what is counted.
#include "forwarder/latency_sampler.h"

#include <vector>

#include "check.h"

using namespace mcfleet;

namespace {

constexpr uint64_t kArrival = 1'700'000'000'000'000'000;

uint64_t taken(const RelayCounters& counters) {
  uint64_t sum = 0;
  for (size_t i = 0; i < LatencyCounters::kBuckets; i++) sum += counters.latency.bucket(i);
  return sum;
}

// As a worker does for a train.
void pass_on(LatencySampler& sampler, RelayCounters& counters, uint64_t packets, uint64_t arrival) {
  const uint64_t before = counters.packets.get();
  counters.packets.add(packets);
  sampler.show(counters, before, arrival);
}

void takes_the_first_and_one_in_sixteen() {
  LatencySampler sampler;
  RelayCounters counters;
  for (uint64_t i = 1; i <= 160; i++) {
    pass_on(sampler, counters, 1, kArrival);
    sampler.record(kArrival);
    CHECK_EQ(taken(counters), 1 + i / LatencySampler::kEvery);
  }
}

// Of trains at most one each, and none is left out for a sample that fell into the one before.
void takes_one_of_a_train() {
  for (const uint64_t length : {3, 16, 17, 128}) {
    LatencySampler sampler;
    RelayCounters counters;
    uint64_t want = 0;
    for (uint64_t i = 0; i < 100; i++) {
      const bool passes = i == 0 || i * length / 16 != (i + 1) * length / 16;
      want += passes ? 1 : 0;
      pass_on(sampler, counters, length, kArrival);
      sampler.record(kArrival);
      CHECK_EQ(taken(counters), want);
    }
  }
}

void counts_until_all_was_sent() {
  LatencySampler sampler;
  RelayCounters first;
  RelayCounters second;
  pass_on(sampler, first, 1, kArrival);
  pass_on(sampler, second, 1, kArrival + 500);
  CHECK_EQ(taken(first) + taken(second), 0U);
  sampler.record(kArrival + 3500);
  CHECK_EQ(first.latency.sum_ns(), 3500U);
  CHECK_EQ(first.latency.bucket(2), 1U);
  CHECK_EQ(second.latency.sum_ns(), 3000U);
  // Once.
  sampler.record(kArrival + 9999);
  CHECK_EQ(taken(first) + taken(second), 2U);
}

void leaves_out_what_it_cannot_tell() {
  LatencySampler sampler;
  // The clock was set back.
  RelayCounters counters;
  pass_on(sampler, counters, 1, kArrival);
  sampler.record(kArrival - 1);
  CHECK_EQ(taken(counters), 0U);
  // More relays in one burst than there is room for.
  std::vector<RelayCounters> many(LatencySampler::kMost + 8);
  for (RelayCounters& relay : many) pass_on(sampler, relay, 1, kArrival);
  sampler.record(kArrival);
  for (size_t i = 0; i < many.size(); i++) {
    CHECK_EQ(taken(many[i]), i < LatencySampler::kMost ? 1U : 0U);
  }
}

// Now is the clock of the ring's time stamps: Unix time.
void reads_the_clock() {
  LatencySampler sampler;
  RelayCounters counters;
  pass_on(sampler, counters, 1, kArrival);
  sampler.record();
  CHECK(counters.latency.sum_ns() > 0);
  // Between 2023 and 2200.
  CHECK(counters.latency.sum_ns() < uint64_t{180} * 366 * 86'400 * 1'000'000'000);
}

}  // namespace

int main() {
  takes_the_first_and_one_in_sixteen();
  takes_one_of_a_train();
  counts_until_all_was_sent();
  leaves_out_what_it_cannot_tell();
  reads_the_clock();
}
