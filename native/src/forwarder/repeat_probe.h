#pragma once

#include <cstddef>
#include <cstdint>

#include "forwarder/believed_paths.h"

namespace mcfleet {

// Tells a loop from a sender that repeats itself, where a packet comes again and again just as it
// came first: a relay of the same host, or with the same TTL, may have put it into the loop. When
// that goes on, a copy is passed on with a mark: another identification, in IPv6 another flow
// label, which was not seen lately. From a loop it comes back with that, and gets another mark.
// kProofs marks that came back one after the other prove a loop. A sender loses nothing: some of
// its packets leave with a mark.
//
// A relay of the loop that is none of ours must leave the field as it is, as IP routers do.
//
// One input and one thread.
class RepeatProbe final {
 public:
  // IPv4: how long a packet comes again, each time at most kFastNs after the last, before it gets a
  // mark. The identifications of a segmenting sender overlap, and one that is still to come might
  // be met by chance.
  static constexpr uint64_t kLongNs = 1'000'000'000;
  static constexpr uint64_t kFastNs = 100'000'000;
  // Copies that get the same mark, for some may be lost.
  static constexpr uint32_t kCopies = 8;
  // How long is waited until one comes back.
  static constexpr uint64_t kWaitNs = 250'000'000;
  static constexpr uint32_t kProofs = 4;
  // How long a sender that was found out to be one is taken for one, and how many of them.
  static constexpr uint64_t kSenderNs = 10'000'000'000;
  static constexpr size_t kSenders = 64;

  // A packet, and how it came: where to, from which sender, and with which TTL.
  struct Arrival {
    uint64_t packet;
    uint64_t path;
    uint32_t origin;
    uint64_t time_ns;
  };

  // To be called before each packet. Gives up what did not come back in time.
  void expire(uint64_t time_ns) {
    if (packet_ == 0 || time_ns - since_ns_ <= kWaitNs) return;
    if (goes_on_) senders_.note(path_, time_ns);
    packet_ = 0;
  }

  // For a copy that came as the first did. `often`: so many of them came that it is worth a look;
  // `sure`: no sender meets a mark by chance. Whether it shall get the mark: mark(), if that is 0
  // draw one and tell expect().
  bool wants_mark(const Arrival& arrival, bool often, bool sure) {
    if (packet_ == arrival.packet) {
      goes_on_ = true;
      if (proofs_ > 0 || copies_ == kCopies) return false;
      copies_++;
      return true;
    }
    if (packet_ != 0 || !lasts(arrival, often, sure)) return false;
    watched_ = 0;
    packet_ = arrival.packet;
    path_ = arrival.path;
    origin_ = arrival.origin;
    copies_ = 1;
    proofs_ = 0;
    goes_on_ = false;
    mark_ = 0;
    return true;
  }
  [[nodiscard]] uint32_t mark() const { return mark_; }
  // The mark is given to a copy, which has this number then.
  void expect(uint64_t marked, uint32_t mark, uint64_t time_ns) {
    marked_ = marked;
    mark_ = mark;
    since_ns_ = time_ns;
  }
  // None is to be had: a sender uses them all.
  void give_up(uint64_t time_ns) {
    senders_.note(path_, time_ns);
    packet_ = 0;
  }

  // Whether this packet has the mark and came as the one that got it. Then a loop is proven(), or
  // it shall get another mark.
  bool comes_back(const Arrival& arrival) {
    if (packet_ == 0 || arrival.packet != marked_ || arrival.origin != origin_) return false;
    proofs_++;
    return true;
  }
  // To be asked once after comes_back().
  bool proven() {
    if (proofs_ < kProofs) return false;
    packet_ = 0;
    return true;
  }

 private:
  // Whether this packet comes again for long enough.
  bool lasts(const Arrival& arrival, bool often, bool sure) {
    const bool fast = arrival.time_ns - watched_ns_ <= kFastNs;
    if (watched_ == arrival.packet && fast) {
      watched_ns_ = arrival.time_ns;
      return arrival.time_ns - watched_since_ns_ >= kLongNs;
    }
    if (!often || senders_.holds(arrival.path, arrival.time_ns)) return false;
    if (sure) return true;
    if (watched_ != 0 && fast) return false;
    watched_ = arrival.packet;
    watched_since_ns_ = arrival.time_ns;
    watched_ns_ = arrival.time_ns;
    return false;
  }

  // What is looked at; 0: nothing. Since when, and when it came last.
  uint64_t watched_ = 0;
  uint64_t watched_since_ns_ = 0;
  uint64_t watched_ns_ = 0;
  // What got a mark; 0: nothing. How it came, and since when its mark is awaited.
  uint64_t packet_ = 0;
  uint64_t path_ = 0;
  uint32_t origin_ = 0;
  uint64_t since_ns_ = 0;
  // The mark, and the packet with it.
  uint32_t mark_ = 0;
  uint64_t marked_ = 0;
  uint32_t copies_ = 0;
  uint32_t proofs_ = 0;
  // Whether it came again without its mark.
  bool goes_on_ = false;
  BelievedPaths<kSenders, kSenderNs> senders_;
};

}  // namespace mcfleet
