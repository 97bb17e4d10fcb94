#include "forwarder/interface_losses.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace mcfleet {
namespace {

// Takes off as much of `lost` as is owed, and of what is owed.
void take_off(uint64_t& lost, uint64_t& owed) {
  const uint64_t both = std::min(lost, owed);
  lost -= both;
  owed -= both;
}

// How much a counter rose that may have begun again at zero.
uint64_t rise(uint64_t before, uint64_t now) {
  return now >= before ? now - before : now;
}

// The same of one that also begins again after 2^32 - 1: what would be more than half of that is
// none.
uint64_t rise32(uint32_t before, uint32_t now) {
  const uint32_t forward = now - before;
  return forward <= std::numeric_limits<uint32_t>::max() / 2 ? forward : now;
}

uint64_t queue_rise(const std::optional<RootQueue>& before, const std::optional<RootQueue>& now) {
  if (!before || !now) return 0;
  const bool same = before->handle == now->handle && before->holds == now->holds;
  return same ? rise32(before->drops, now->drops) : now->drops;
}

}  // namespace

void InterfaceLosses::take(std::span<const InterfaceReading> readings, uint64_t unix_nano) {
  readings_++;
  for (const InterfaceReading& reading : readings) {
    const InterfaceStatistics& statistics = reading.statistics;
    const auto [entry, is_new] = sums_.try_emplace(statistics.name);
    Sum& sum = entry->second;
    if (is_new) sum.loss.counted_since = unix_nano;
    const bool goes_on =
        !is_new && sum.seen == readings_ - 1 && sum.last.statistics.ifindex == statistics.ifindex;
    const std::optional<RootQueue> queue = goes_on ? sum.last.statistics.queue : std::nullopt;
    if (goes_on) {
      add(sum, reading, unix_nano);
    } else {
      sum.ahead = 0;
    }
    sum.loss.ifindex = statistics.ifindex;
    sum.last = reading;
    if (!statistics.queue) sum.last.statistics.queue = queue;
    sum.seen = readings_;
  }
  forget();
}

void InterfaceLosses::add(Sum& sum, const InterfaceReading& now, uint64_t unix_nano) {
  const InterfaceStatistics& before = sum.last.statistics;
  // Where there is a queue it is what refuses; a device behind it tells nobody.
  const bool holds = now.statistics.queue && now.statistics.queue->holds;
  sum.doubted += queue_rise(before.queue, now.statistics.queue);
  uint64_t device = rise(before.tx_dropped, now.statistics.tx_dropped);
  const uint64_t refused = holds ? rise(sum.last.refused_queued, now.refused_queued)
                                 : rise(sum.last.refused_frames, now.refused_frames);
  uint64_t owed = refused + sum.ahead;
  if (holds) {
    take_off(sum.doubted_long, owed);
    take_off(sum.doubted, owed);
  } else {
    take_off(device, owed);
  }
  // What was refused after the kernel's counters were read is in the next reading of them. What is
  // not in that either was refused by something else, and must hide no loss to come.
  sum.ahead = std::min(refused, owed);
  sum.loss.queue += release(sum, now.unsettled, unix_nano);
  sum.loss.device_dropped += device;
  sum.loss.device_errors += rise(before.tx_errors, now.statistics.tx_errors);
}

// What is in doubt no longer.
uint64_t InterfaceLosses::release(Sum& sum, bool unsettled, uint64_t unix_nano) {
  if (!unsettled) return std::exchange(sum.doubted, 0) + std::exchange(sum.doubted_long, 0);
  if (unix_nano < sum.doubt_since + kDoubtNs) return 0;
  sum.doubt_since = unix_nano;
  return std::exchange(sum.doubted_long, std::exchange(sum.doubted, 0));
}

void InterfaceLosses::forget() {
  std::vector<std::pair<uint64_t, std::string>> unused;
  for (const auto& [name, sum] : sums_) {
    if (sum.seen != readings_) unused.emplace_back(sum.seen, name);
  }
  if (unused.size() <= kRemembered) return;
  std::sort(unused.begin(), unused.end());
  unused.resize(unused.size() - kRemembered);
  for (const auto& [seen, name] : unused) sums_.erase(name);
}

std::vector<InterfaceLoss> InterfaceLosses::losses() const {
  std::vector<InterfaceLoss> all;
  for (const auto& [name, sum] : sums_) {
    if (sum.seen == readings_) all.push_back(sum.loss);
  }
  std::sort(all.begin(), all.end(),
            [](const auto& a, const auto& b) { return a.ifindex < b.ifindex; });
  return all;
}

}  // namespace mcfleet
