#include "ring/held_packets.h"

#include <algorithm>
#include <utility>

namespace mcfleet {

void HeldPackets::queue(uint32_t number) {
  if (!holds(number) || entry(number).queued) return;
  entry(number).queued = true;
  waiting_--;
  if (entry(number).gone()) mark_gone(number);
}

void HeldPackets::leave(uint32_t number) {
  device_tells_ = true;
  silent_ = 0;
  if (!holds(number)) return;
  queue(number);
  entry(number).left = true;
  mark_gone(number);
}

void HeldPackets::mark_gone(uint32_t number) {
  if (number - first_ >= last_left_ - first_) last_left_ = number + 1;
}

void HeldPackets::forget(std::span<const OutputCounters* const> gone) {
  for (uint32_t number = first_; number != next_; number++) {
    OutputCounters*& counters = entry(number).counters;
    if (std::binary_search(gone.begin(), gone.end(), counters)) counters = nullptr;
  }
}

void HeldPackets::account_left() {
  while (!empty() && entry(first_).gone()) account_first();
}

void HeldPackets::account_all() {
  while (!empty()) account_first();
}

void HeldPackets::account_overtaken() {
  account_left();
  while (!empty() && last_left_ - first_ > kOvertaken) account_first();
  // Nothing tells yet whether the device would tell.
  if (device_tells_) return;
  while (room() < kCapacity - kOvertaken && entry(first_).queued) account_first();
}

// kCount: it was sent.
DropReason HeldPackets::fate_of(const Entry& entry) {
  if (entry.left) silent_ = 0;
  if (entry.gone()) return DropReason::kCount;
  if (!entry.queued) return DropReason::kNoNeighbour;
  silent_++;
  if (!device_tells_) return DropReason::kCount;
  if (refusals_ != nullptr) refusals_->count(entry.packets);
  return DropReason::kTxFull;
}

void HeldPackets::account_first() {
  const Entry& oldest = entry(first_);
  if (!oldest.queued) waiting_--;
  const DropReason fate = fate_of(oldest);
  if (datagram_lost_ == DropReason::kCount) datagram_lost_ = fate;
  if (last_left_ == first_) last_left_++;
  first_++;
  if (!oldest.last) return;
  const DropReason lost = std::exchange(datagram_lost_, DropReason::kCount);
  if (oldest.counters == nullptr) return;
  if (lost != DropReason::kCount) {
    oldest.counters->drops.add(lost, oldest.packets);
  } else {
    oldest.counters->packets.add(oldest.packets);
    oldest.counters->bytes.add(oldest.bytes);
  }
}

}  // namespace mcfleet
