#pragma once

#include <cstdint>

#include "forwarder/believed_paths.h"

namespace mcfleet {

// Tells a loop from a sender that repeats itself, where a packet comes again and again just as it
// came first: a relay of the same host, or with the same TTL, may have put it into the loop. When
// that has lasted for kLongNs, some copies in a row are kept back. A sender goes on, a loop does
// not. A sender that repeats payload and identification fast and for long loses kCopies for each
// time that it is found out to be one; RFC 6864, section 4.1, forbids that unless fragmentation is
// forbidden.
//
// One input and one thread.
class RepeatProbe final {
 public:
  // How long a packet comes again, each time at most kFastNs after the last, before it is asked:
  // whoever tries a relay with some equal packets loses none.
  static constexpr uint64_t kLongNs = 1'000'000'000;
  static constexpr uint64_t kFastNs = 100'000'000;
  // A loop must not hold more of one packet.
  static constexpr uint32_t kCopies = 8;
  // How long is waited for the next copy.
  static constexpr uint64_t kWaitNs = 250'000'000;
  // Packets of one path that stopped, each at most kProofsNs after the one before, that prove a
  // loop: a sender may just have said it for the last time.
  static constexpr uint32_t kProofs = 2;
  static constexpr uint64_t kProofsNs = 10'000'000'000;
  // How long a sender that went on is taken for one, and how many of them.
  static constexpr uint64_t kSenderNs = 600'000'000'000;
  static constexpr size_t kSenders = 64;

  // For a copy that came as the first did. `often`: so many of them came that it is worth a look.
  // Whether it has to be kept back.
  bool keeps_back(uint64_t packet, uint64_t path, bool often, uint64_t time_ns) {
    if (packet_ == packet) {
      if (copies_ == kCopies) {
        senders_.note(path, time_ns);
        packet_ = 0;
        proofs_ = 0;
        return false;
      }
      copies_++;
      last_ns_ = time_ns;
      return true;
    }
    if (packet_ != 0 || !lasts(packet, path, often, time_ns)) return false;
    watched_ = 0;
    if (!proven_once(path, time_ns)) proofs_ = 0;
    packet_ = packet;
    path_ = path;
    last_ns_ = time_ns;
    copies_ = 1;
    return true;
  }

  // To be called before each packet. Whether a loop is proven by this time, which path() names.
  bool proves_loop(uint64_t time_ns) {
    if (packet_ == 0 || time_ns - last_ns_ <= kWaitNs) return false;
    packet_ = 0;
    if (++proofs_ < kProofs) return false;
    proofs_ = 0;
    return true;
  }
  [[nodiscard]] uint64_t path() const { return path_; }

 private:
  [[nodiscard]] bool proven_once(uint64_t path, uint64_t time_ns) const {
    return proofs_ > 0 && path_ == path && time_ns - last_ns_ <= kProofsNs;
  }
  // Whether this packet comes again for long enough.
  bool lasts(uint64_t packet, uint64_t path, bool often, uint64_t time_ns) {
    const bool fast = time_ns - watched_ns_ <= kFastNs;
    if (watched_ == packet && fast) {
      watched_ns_ = time_ns;
      return time_ns - since_ns_ >= kLongNs || (often && proven_once(path, time_ns));
    }
    if (!often || (watched_ != 0 && fast) || senders_.holds(path, time_ns)) return false;
    watched_ = packet;
    since_ns_ = time_ns;
    watched_ns_ = time_ns;
    return proven_once(path, time_ns);
  }

  // What is looked at; 0: nothing. Since when, and when it came last.
  uint64_t watched_ = 0;
  uint64_t since_ns_ = 0;
  uint64_t watched_ns_ = 0;
  // What is kept back; 0: nothing.
  uint64_t packet_ = 0;
  uint64_t path_ = 0;
  uint64_t last_ns_ = 0;
  uint32_t copies_ = 0;
  uint32_t proofs_ = 0;
  BelievedPaths<kSenders, kSenderNs> senders_;
};

}  // namespace mcfleet
