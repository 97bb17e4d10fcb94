// Counters of outputs that come and go while a queue is never empty.
#include "forwarder/egress_ports.h"

#include <algorithm>
#include <memory>
#include <vector>

#include "check.h"

using namespace mcfleet;

namespace {

constexpr size_t kWorkers = 2;
using Counters = PerWorker<OutputCounters>;

size_t alive(const std::vector<std::weak_ptr<Counters>>& all) {
  return static_cast<size_t>(
      std::count_if(all.begin(), all.end(), [](const auto& one) { return !one.expired(); }));
}

void keeps_few_that_nobody_reads() {
  auto refusals = std::make_shared<PerWorker<RefusalCounters>>(kWorkers);
  auto frames = std::make_shared<EgressPorts>(1, TransmitRequest::kAuto, refusals);
  EgressPorts ports(frames, IpAddress(0x0a000001),
                    std::make_shared<PerWorker<SegmentCounters>>(kWorkers));
  std::vector<std::weak_ptr<Counters>> gone;
  const auto add = [&] {
    const auto counters = std::make_shared<Counters>(kWorkers);
    ports.keep(counters);
    gone.push_back(counters);
    return counters;
  };
  const std::shared_ptr<Counters> stays = add();
  // One that is settled forgets at once.
  for (int i = 0; i < 5000; i++) add();
  CHECK(alive(gone) <= 2 * EgressPorts::kMostGone + 4);
  // One whose worker still waits, when it next looks what became of its packets.
  ports.of(1).unsettled.store(true);
  for (int i = 0; i < 20'000; i++) {
    add();
    if (i % 100 == 0) ports.of(1).settle();
  }
  CHECK(alive(gone) <= 2 * EgressPorts::kMostGone + 204);
  // Until then they stay, all that its packets may point to.
  const size_t before = alive(gone);
  for (int i = 0; i < 3000; i++) add();
  CHECK(alive(gone) >= before + 2000);
  ports.of(1).settle();
  ports.of(1).unsettled.store(false);
  for (size_t i = 0; i < 2 * EgressPorts::kMostGone + 10; i++) add();
  CHECK(alive(gone) <= 2 * EgressPorts::kMostGone + 204);
  // One that is used never goes.
  CHECK(!gone.front().expired());
  CHECK_EQ(stays.use_count(), 2L);
}

}  // namespace

int main() {
  keeps_few_that_nobody_reads();
}
