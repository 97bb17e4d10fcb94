#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "check.h"
#include "probe/histogram.h"

using mcfleet::probe::Histogram;

namespace {

void buckets_cover_all_values_in_order() {
  std::mt19937_64 random(4);
  for (int round = 0; round < 1'000'000; ++round) {
    const std::uint64_t value = random() >> (24 + random() % 40);
    const std::size_t bucket = Histogram::bucket_of(value);
    CHECK(value <= Histogram::upper_bound(bucket));
    CHECK(bucket == 0 || value > Histogram::upper_bound(bucket - 1));
    CHECK(Histogram::upper_bound(bucket) <= value + value / 64);
  }
}

// Against the quantile of the sorted values, by its definition: never below, at most 1/64 above.
void quantiles_are_close() {
  std::mt19937_64 random(5);
  for (int round = 0; round < 50; ++round) {
    const auto histogram = std::make_unique<Histogram>();
    std::vector<std::uint64_t> values(1 + random() % 2000);
    for (auto& value : values) {
      value = random() >> (30 + random() % 30);
      histogram->add(value);
    }
    std::sort(values.begin(), values.end());
    for (const double share : {0.0, 0.5, 0.9, 0.99, 1.0}) {
      const auto rank = static_cast<std::size_t>(
          std::max(1.0, std::ceil(share * static_cast<double>(values.size()))));
      const std::uint64_t exact = values[rank - 1];
      const std::uint64_t measured = histogram->quantile(share).value();
      CHECK(measured >= exact && measured <= exact + exact / 64);
    }
    CHECK(histogram->max() == values.back());
    CHECK(histogram->quantile(1) == values.back());
  }
}

void takes_extremes() {
  const auto histogram = std::make_unique<Histogram>();
  CHECK(!histogram->quantile(0.5));
  histogram->add(0);
  CHECK(histogram->quantile(0.5) == 0U);
  histogram->add(UINT64_MAX);
  CHECK(histogram->max() == UINT64_MAX && histogram->quantile(1) == UINT64_MAX);
}

}  // namespace

int main() {
  buckets_cover_all_values_in_order();
  quantiles_are_close();
  takes_extremes();
}
