// What a Forwarder knows of packets that interfaces take and then lose.
#include "base/unix_time.h"
#include "forwarder/forwarder.h"

namespace mcfleet {
namespace {

using Clock = std::chrono::steady_clock;

// A reading costs as much as the host has interfaces and queues: no more than one part in so many
// of the time is spent on that.
constexpr int kRest = 20;

}  // namespace

std::vector<InterfaceLoss> Forwarder::losses() {
  const std::lock_guard control(control_);
  if (Clock::now() >= next_losses_) read_losses();
  return losses_.losses();
}

void Forwarder::read_losses() {
  const Clock::time_point began = Clock::now();
  std::set<int> used;
  for (const auto& [ifindex, refusals] : refusals_) used.insert(ifindex);
  std::vector<InterfaceReading> readings;
  if (!used.empty()) {
    auto statistics = read_interface_statistics(used);
    // Without an answer the next reading has it all.
    if (!statistics.ok()) return;
    // What was refused until then is counted.
    workers_->quiesce();
    std::set<int> unsettled;
    for (const auto& [key, ports] : ports_) {
      if (ports->unsettled()) unsettled.insert(key.ifindex);
    }
    for (InterfaceStatistics& own : statistics.value()) {
      const auto& refusals = *refusals_.at(own.ifindex);
      readings.push_back({std::move(own),
                          refusals.sum([](const auto& c) { return c.queued.get(); }),
                          refusals.sum([](const auto& c) { return c.frames.get(); }),
                          unsettled.contains(own.ifindex)});
    }
  }
  losses_.take(readings, unix_nano());
  // The others are no longer in use.
  std::erase_if(refusals_, [](const auto& entry) { return entry.second.use_count() == 1; });
  losses_due_ = false;
  next_losses_ = Clock::now() + kRest * (Clock::now() - began);
}

}  // namespace mcfleet
