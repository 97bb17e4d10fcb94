// Random arrivals: never more passes than the limit allows, in any window of time, and never less
// than a plain bucket would give.
#include "forwarder/rate_limiter.h"

#include <algorithm>
#include <deque>
#include <random>
#include <thread>
#include <vector>

#include "check.h"

using namespace mcfleet;

namespace {

constexpr uint64_t kSecond = 1'000'000'000;
constexpr uint64_t kStart = 1'700'000'000 * kSecond;

void holds_in_every_window() {
  std::mt19937_64 random(31);
  for (int round = 0; round < 200; round++) {
    const RateLimit limit{1 + random() % 100'000, 0, 1 + random() % 50};
    const double per_ns = static_cast<double>(limit.packets_per_second) / 1e9;
    RateLimiter limiter(limit);
    const auto mean = static_cast<uint64_t>(1e9 / static_cast<double>(limit.packets_per_second));
    uint64_t now = kStart;
    std::vector<uint64_t> passed;
    double tokens = static_cast<double>(limit.burst_packets);
    uint64_t last = now;
    for (int i = 0; i < 400; i++) {
      // Bursts, pauses, and everything between.
      now += random() % 4 == 0 ? random() % (mean * 8 + 1) : random() % (mean / 4 + 1);
      tokens = std::min(static_cast<double>(limit.burst_packets),
                        tokens + static_cast<double>(now - last) * per_ns);
      last = now;
      const bool admitted = limiter.admit(1, 100, now);
      // Times are rounded to nanoseconds: at the edge either verdict is right.
      const double edge = 0.02 * (1 + static_cast<double>(limit.burst_packets));
      if (tokens >= 1 + edge) CHECK(admitted);
      if (tokens < 1 - edge) CHECK(!admitted);
      if (!admitted) continue;
      tokens = std::max(0.0, tokens - 1);
      passed.push_back(now);
    }
    for (size_t from = 0; from < passed.size(); from += 7) {
      for (size_t to = from; to < passed.size(); to += 3) {
        const double window = static_cast<double>(passed[to] - passed[from]) * per_ns;
        CHECK(static_cast<double>(to - from + 1) <=
              static_cast<double>(limit.burst_packets) + window * 1.01 + 1e-6);
      }
    }
  }
}

// What one second of a stream gives: `packets` at once, each of `bytes`, every `gap_ns`.
uint64_t passed_in_a_second(const RateLimit& limit, uint64_t packets, uint64_t bytes,
                            uint64_t gap_ns) {
  RateLimiter limiter(limit);
  uint64_t passed = 0;
  for (uint64_t now = kStart; now < kStart + kSecond; now += gap_ns) {
    if (limiter.admit(packets, packets * bytes, now)) passed += packets;
  }
  return passed;
}

void gives_the_rate() {
  const auto near = [](uint64_t value, uint64_t want, uint64_t most_off) {
    return value + most_off >= want && value <= want + most_off;
  };
  CHECK(near(passed_in_a_second({1000, 0, 10}, 1, 1000, 100'000), 1010, 1));
  // Slower than the limit: everything.
  CHECK_EQ(passed_in_a_second({1000, 0, 1}, 1, 1000, 1'000'000), 1000U);
  // Super-frames of 20 pass whole, and are paid for afterwards.
  CHECK(near(passed_in_a_second({1000, 0, 10}, 20, 1000, 100'000), 1010, 20));
  // 8 Mbit/s are 1000 packets of 1000 bytes; the burst of one packet counts as 1500 bytes.
  CHECK(near(passed_in_a_second({0, 8'000'000, 1}, 1, 1000, 100'000), 1001, 2));
  // Both: whichever is less.
  CHECK(near(passed_in_a_second({500, 8'000'000, 1}, 1, 1000, 100'000), 501, 2));
  CHECK(near(passed_in_a_second({5000, 800'000, 1}, 1, 1000, 100'000), 101, 2));
  // Without a burst: what the rate gives in 100 ms.
  CHECK(near(passed_in_a_second({1000, 0, 0}, 1, 1000, 100'000), 1100, 1));
  CHECK_EQ(passed_in_a_second({1, 0, 0}, 1, 1000, 100'000), 1U);
}

void survives_a_clock_that_is_set() {
  RateLimiter limiter({10, 0, 5});
  for (int i = 0; i < 5; i++) CHECK(limiter.admit(1, 100, kStart));
  CHECK(!limiter.admit(1, 100, kStart));
  // An hour back: the bucket is full, and not closed for an hour.
  for (int i = 0; i < 5; i++) CHECK(limiter.admit(1, 100, kStart - 3600 * kSecond));
  CHECK(!limiter.admit(1, 100, kStart - 3600 * kSecond));
}

void holds_for_several_threads() {
  RateLimiter limiter({1000, 0, 1000});
  std::atomic<uint64_t> passed{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; t++) {
    threads.emplace_back([&] {
      for (int i = 0; i < 20000; i++) passed += limiter.admit(1, 100, kStart) ? 1 : 0;
    });
  }
  for (std::thread& thread : threads) thread.join();
  // Between looking and taking another thread may look: one packet each.
  CHECK(passed >= 1000 && passed <= 1003);
}

void takes_the_largest_limits() {
  RateLimiter limiter({1, 1000, 1'000'000});
  for (int i = 0; i < 100'000; i++) CHECK(limiter.admit(1, 1500, kStart));
}

}  // namespace

int main() {
  holds_in_every_window();
  gives_the_rate();
  survives_a_clock_that_is_set();
  holds_for_several_threads();
  takes_the_largest_limits();
}
