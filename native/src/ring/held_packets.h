#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/counters.h"
#include "base/drop_reason.h"

namespace mcfleet {

// What one message stands for when it was sent or lost.
struct TxAccount {
  OutputCounters* counters = nullptr;
  uint32_t packets = 0;
  uint64_t bytes = 0;
  // False: another fragment of the same datagram follows. It is accounted with the last one, and as
  // lost if any was.
  bool last = true;
};

// Messages that were handed to a socket, and of which it is not known yet whether they left: the
// kernel keeps them until it has resolved the neighbour. They are numbered as the kernel numbers
// them, counting up with each message that it takes. Each is accounted once. Memory is taken as far
// as it was ever filled. Worker.
class HeldPackets final {
 public:
  // More than a neighbour's queue takes of the shortest packets (unres_qlen_bytes, 212,992 bytes by
  // default, of which each takes at least 768).
  static constexpr size_t kCapacity = 1024;

  [[nodiscard]] bool empty() const { return first_ == next_; }
  // Messages that can be held besides.
  [[nodiscard]] size_t room() const { return kCapacity - (next_ - first_); }

  // Takes the next message. There must be room.
  void hold(const TxAccount& account) { put(account, false); }
  // As hold(), of a message that has its number and was refused, and is accounted elsewhere.
  void skip() {
    cut();
    put({}, true);
  }
  // The rest of the datagram whose fragments were held last is accounted elsewhere, and with it the
  // datagram.
  void cut() {
    if (empty() || entry(next_ - 1).last) return;
    entry(next_ - 1).counters = nullptr;
    entry(next_ - 1).last = true;
  }
  // The message of this number has left. Any number may be given, and more than once.
  void leave(uint32_t number) {
    if (number - first_ < next_ - first_) entry(number).left = true;
  }

  // Accounts those that left before all others did.
  void account_left();
  // Accounts all; those that have not left are lost.
  void account_all();
  // Begins to number anew, from 0. Nothing may be held.
  void restart() { first_ = next_ = 0; }

 private:
  // As TxAccount, but not written to when it is made.
  struct Entry {
    OutputCounters* counters;
    uint64_t bytes;
    uint32_t packets;
    bool last;
    bool left;
  };

  void put(const TxAccount& account, bool left) {
    entry(next_++) = {account.counters, account.bytes, account.packets, account.last, left};
  }
  Entry& entry(uint32_t number) { return entries_[number % kCapacity]; }
  void account_first();

  uint32_t first_ = 0;
  uint32_t next_ = 0;
  // Whether a fragment of the datagram that first_ belongs to was lost.
  bool datagram_lost_ = false;
  std::unique_ptr<Entry[]> entries_ = std::make_unique_for_overwrite<Entry[]>(kCapacity);
};

}  // namespace mcfleet
