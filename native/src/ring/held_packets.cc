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
  const TxAccount& account = oldest.account;
  datagram_lost_ |= !oldest.left;
  if (!account.last) return;
  const bool lost = std::exchange(datagram_lost_, false);
  if (account.counters == nullptr) return;
  if (lost) {
    account.counters->drops.add(DropReason::kNoNeighbour, account.packets);
  } else {
    account.counters->packets.add(account.packets);
    account.counters->bytes.add(account.bytes);
  }
}

}  // namespace mcfleet
