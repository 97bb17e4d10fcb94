#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <random>
#include <utility>

#include "base/counters.h"
#include "forwarder/believed_paths.h"
#include "forwarder/repeat_probe.h"
#include "packet/parse.h"

namespace mcfleet {

// Recognises packets that go round in a loop of relays, which neither address nor TTL need show:
// each relay may set both.
//
// What no relay changes is the payload and the identification, in IPv6 the flow label. They are
// remembered for a while, with a fingerprint of the headers that they came with first (station,
// source, TTL). What a relay sends back comes with other headers. Senders that say the same differ
// in the identification; and those that send none get one from the first relay (identification.h),
// which knows by this that they do not come back. Copies of redundant networks are equal in both,
// and a few for each first one are taken. What comes back more often proves a loop. For a while
// after that, of what comes to its destination with its headers, only one copy is taken, and none
// of what was seen already without being watched.
//
// A packet that a relay put into the loop may come with the same headers from the first time on, as
// that of a sender that repeats itself with one identification, or in IPv6 at all: the flow label
// is that of a flow. A RepeatProbe finds out which it is. What goes on to come for kWindowNs
// although nothing of it is taken is no loop either: a sender that repeats itself now comes from
// another station, after the failure of a router for example.
//
// One input and one thread.
class DuplicateWindow final {
 public:
  // Packets remembered: at 30,000 per second all of kWindowNs, at 1,000,000 all of 60 ms. 1 MiB.
  static constexpr size_t kEntries = 65536;
  // How long a packet is remembered after one like it was taken: longer round trips are not
  // recognised. What is dropped prolongs nothing: a loop ends by that, and a sender goes on, so
  // that it is taken for the first.
  static constexpr uint64_t kWindowNs = 2'000'000'000;
  // Copies of one packet that are taken with other headers than the first, for each that comes with
  // the same ones as the first: some senders repeat themselves with one identification.
  static constexpr uint32_t kTolerated = 7;
  // Where both counts are halved, so that a loop cannot live long on what was sent before it.
  static constexpr uint8_t kMostFirsts = 64;
  // So many copies with the headers of the first are often.
  static constexpr uint8_t kOften = kMostFirsts;
  // The same while a loop is known to be there, and for how long that is believed.
  static constexpr uint32_t kToleratedInLoop = 1;
  static constexpr uint64_t kLoopNs = 10'000'000'000;
  // Loops told apart at a time. With more, the oldest is known no longer.
  static constexpr size_t kLoops = 8;

  DuplicateWindow();

  // Whether a loop is known to be there. Until then it is enough to show this window some packets
  // each time they come. Then it has to see all of them.
  [[nodiscard]] bool in_loop(uint64_t time_ns) const {
    // Also false when the clock was set back.
    return loop_until_ns_ - time_ns <= kLoopNs;
  }
  // Whether packets came again lately with the headers that they had first, or more often with
  // others than with those. That is what a loop looks like to all of its relays, those included
  // whose headers are set by the one before them; copies of two redundant networks do not. A few
  // senders say the same with one identification.
  [[nodiscard]] bool comes_again(uint64_t time_ns) const {
    return came_again_until_ns_ - time_ns <= kLoopNs;
  }
  struct Verdict {
    // It came back too often.
    bool repeated = false;
    // It shall leave with this identification, or flow label, by which it is told whether it comes
    // back; 0: with its own.
    uint32_t mark = 0;
  };
  // Judges this packet, of which all was captured. `link_header`: the bytes before `ip`. `segment`:
  // which datagram of a super-frame it is about, from 0. `may_mark`: whether it can still get a
  // mark, which is a super-frame's first datagram's only.
  Verdict judge(const uint8_t* ip, size_t link_header, const Datagram& datagram, uint64_t time_ns,
                uint16_t segment, bool may_mark);
  // For a packet that cannot have come back.
  void remember(const uint8_t* ip, size_t link_header, const Datagram& datagram, uint64_t time_ns,
                uint16_t segment);

 private:
  struct Entry {
    // 0: empty.
    uint32_t key = 0;
    // When it was taken last: Unix time in milliseconds, cut.
    uint32_t taken_ms = 0;
    // Fingerprint of the headers it came with first.
    uint32_t origin = 0;
    // How often it came with these, and was taken with others.
    uint16_t others = 0;
    uint8_t firsts = 1;
    // Whether a copy was not taken.
    bool refused = false;
  };
  // What share a cache line share their place; the one that was taken longest ago gives way.
  static constexpr size_t kWays = kCacheLine / sizeof(Entry);
  struct alignas(kCacheLine) Bucket {
    Entry entries[kWays];
  };

  // How a packet came: as the first one of its kind, as the first again after copies were refused
  // and those taken are forgotten, with the same headers as the first, or with others.
  enum class Coming : uint8_t { kNew, kStill, kAsFirst, kOtherwise };
  std::pair<Entry*, Coming> meet(uint64_t hash, uint32_t origin, uint32_t now_ms);
  // Whether it was met lately.
  bool remembers(uint64_t hash, uint32_t now_ms);
  Bucket& bucket_of(uint64_t hash);
  Verdict refuse(Entry& entry, uint64_t path, uint64_t time_ns);
  // A mark for a packet that shall have one; 0 if there is none.
  uint32_t draw_mark(const uint8_t* ip, const Datagram& datagram, uint64_t time_ns);
  static void count_first(Entry& entry, uint32_t now_ms);
  static Entry* find(Bucket& bucket, uint32_t key);
  static Entry& place(Bucket& bucket, uint32_t now_ms);

  const std::unique_ptr<Bucket[]> buckets_;
  void note_loop(uint64_t path, uint64_t time_ns);

  // Destinations with the headers that come back there.
  BelievedPaths<kLoops, kLoopNs> loops_;
  RepeatProbe probe_;
  std::minstd_rand random_{std::random_device()()};
  // Of all of them.
  uint64_t loop_until_ns_ = 0;
  uint64_t came_again_until_ns_ = 0;
};

}  // namespace mcfleet
