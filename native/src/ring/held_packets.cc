#include "ring/held_packets.h"

#include <utility>

namespace mcfleet {

void HeldPackets::account_left() {
  while (!empty() && entry(first_).left) account_first();
}

void HeldPackets::account_all() {
  while (!empty()) account_first();
}

void HeldPackets::account_first() {
  const Entry& oldest = entry(first_++);
  datagram_lost_ |= !oldest.left;
  if (!oldest.last) return;
  const bool lost = std::exchange(datagram_lost_, false);
  if (oldest.counters == nullptr) return;
  if (lost) {
    oldest.counters->drops.add(DropReason::kNoNeighbour, oldest.packets);
  } else {
    oldest.counters->packets.add(oldest.packets);
    oldest.counters->bytes.add(oldest.bytes);
  }
}

}  // namespace mcfleet
