#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

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

// Messages that were handed to a socket, and of which it is not known yet what became of them: they
// wait in the kernel, first until it has resolved the neighbour, then in the device's queue. They
// are numbered as the kernel numbers them, counting up with each message that it takes. Each is
// accounted once. Memory is taken as far as it was ever filled. Worker.
class HeldPackets final {
 public:
  // More than a neighbour's queue takes of the shortest packets (unres_qlen_bytes, 212,992 bytes by
  // default, of which each takes at least 768), and more than devices' queues take (fq_codel:
  // 10,240 packets).
  static constexpr uint32_t kCapacity = 1 << 14;
  // Of what was overtaken by so many, nothing is awaited any more, if the room is needed.
  static constexpr uint32_t kOvertaken = kCapacity / 2;
  // So many in a row that a device was given and does not tell of: it does not tell of any.
  static constexpr uint32_t kSilent = 1024;

  // Which report tells that a message has left.
  enum class LeavesAt : uint8_t {
    // That it is handed to the device's queue.
    kQueue,
    // That the device has taken it from there.
    kDevice,
  };

  [[nodiscard]] bool empty() const { return first_ == next_; }
  // Messages that can be held besides.
  [[nodiscard]] size_t room() const { return kCapacity - (next_ - first_); }
  // Messages that wait for the neighbour, or were lost there.
  [[nodiscard]] size_t waiting() const { return waiting_; }

  // Counts there, besides, what the device's queue refused or threw away. It must outlive this.
  void count_refusals(RefusalCounters* refusals) { refusals_ = refusals; }

  // Takes the next message. There must be room.
  void hold(const TxAccount& account, LeavesAt leaves) {
    put(account, leaves);
    waiting_++;
  }
  // As hold(), of a message that has its number and was refused, and is accounted elsewhere.
  void skip() {
    cut();
    put({}, LeavesAt::kQueue);
    entry(next_ - 1).queued = true;
  }
  // The rest of the datagram whose fragments were held last is accounted elsewhere, and with it the
  // datagram.
  void cut() {
    if (empty() || entry(next_ - 1).last) return;
    entry(next_ - 1).counters = nullptr;
    entry(next_ - 1).last = true;
  }
  // The message of this number was handed to the device's queue. Any number may be given, and more
  // than once.
  void queue(uint32_t number);
  // As queue(): the device has taken it from there.
  void leave(uint32_t number);

  // Accounts nothing there any more: nobody reads these counters. `gone` is sorted.
  void forget(std::span<const OutputCounters* const> gone);

  // Accounts those of which it is known that they left before all others did.
  void account_left();
  // Accounts all; those that have not left are lost.
  void account_all();
  // Accounts the oldest as far as it can be told of them without waiting longer. For when the room
  // is needed.
  void account_overtaken();
  // Whether the device has been found not to tell when messages leave it. Until it has told for the
  // first time, those that it was given count as sent.
  [[nodiscard]] bool device_is_silent() const { return silent_ >= kSilent; }
  // Begins to number anew, from 0. Nothing may be held.
  void restart() { first_ = next_ = last_left_ = 0; }
  // As restart(), for another socket: what is known of the device is forgotten.
  void begin() {
    restart();
    device_tells_ = false;
    silent_ = 0;
  }

 private:
  // As TxAccount, but not written to when it is made.
  struct Entry {
    OutputCounters* counters;
    uint32_t bytes;
    uint16_t packets;
    LeavesAt leaves;
    bool last : 1;
    bool queued : 1;
    bool left : 1;

    [[nodiscard]] bool gone() const { return left || (queued && leaves == LeavesAt::kQueue); }
  };
  static_assert(sizeof(Entry) == 16);

  void put(const TxAccount& account, LeavesAt leaves) {
    // As little of the memory as possible is written to.
    if (empty()) base_ = next_;
    entry(next_++) = {account.counters,
                      static_cast<uint32_t>(account.bytes),
                      static_cast<uint16_t>(account.packets),
                      leaves,
                      account.last,
                      false,
                      false};
  }
  [[nodiscard]] bool holds(uint32_t number) const { return number - first_ < next_ - first_; }
  Entry& entry(uint32_t number) { return entries_[(number - base_) % kCapacity]; }
  void mark_gone(uint32_t number);
  DropReason fate_of(const Entry& entry);
  void account_first();

  uint32_t first_ = 0;
  uint32_t next_ = 0;
  // The number of the message that is kept first in memory.
  uint32_t base_ = 0;
  // One past the latest that has left.
  uint32_t last_left_ = 0;
  size_t waiting_ = 0;
  // Whether the device has told of a message that it left.
  bool device_tells_ = false;
  // Messages in a row that it was given and has not told of.
  uint32_t silent_ = 0;
  RefusalCounters* refusals_ = nullptr;
  // Why a fragment of the datagram that first_ belongs to was lost; kCount if none was.
  DropReason datagram_lost_ = DropReason::kCount;
  std::unique_ptr<Entry[]> entries_ = std::make_unique_for_overwrite<Entry[]>(kCapacity);
};

}  // namespace mcfleet
