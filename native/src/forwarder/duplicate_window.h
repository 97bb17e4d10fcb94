#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "base/counters.h"
#include "packet/parse.h"

namespace mcfleet {

// Recognises packets that go round in a loop of relays, which neither address nor TTL need show:
// each relay may set both.
//
// What no relay changes is the payload. It is remembered for a while, with a fingerprint of the
// headers that it came with first (station, source, TTL). A sender that repeats itself comes with
// the same ones again, and is never taken for a loop; what a relay sends back comes with others. A
// few of these are taken all the same, for several senders may say the same (discovery, redundant
// streams). One payload that comes back more often proves a loop, and for a while after that only
// one copy of each is taken.
//
// One input and one thread.
class DuplicateWindow final {
 public:
  // Payloads remembered: at 8,000 packets per second all of kWindowNs. 256 KiB.
  static constexpr size_t kEntries = 16384;
  // How long a payload is remembered: round trips of up to a quarter of this are recognised.
  static constexpr uint64_t kWindowNs = 2'000'000'000;
  // Copies of one payload that are taken with other headers than the first.
  static constexpr uint32_t kTolerated = 7;
  // The same while a loop is known to be there, and for how long that is believed.
  static constexpr uint32_t kToleratedInLoop = 1;
  static constexpr uint64_t kLoopNs = 10'000'000'000;

  DuplicateWindow();

  // Whether this packet, of which all was captured, came back too often. `link_header`: the bytes
  // before `ip`.
  bool repeated(const uint8_t* ip, size_t link_header, const Datagram& datagram, uint64_t time_ns);

 private:
  struct Entry {
    // 0: empty.
    uint32_t key = 0;
    // Unix time in milliseconds, cut.
    uint32_t since_ms = 0;
    // Fingerprint of the headers it came with first, and how many came with others.
    uint32_t origin = 0;
    uint32_t others = 0;
  };
  // What share a cache line share their place; which of them gives way is left to chance, so that
  // payloads that come in turns do not drive each other out for ever.
  static constexpr size_t kWays = kCacheLine / sizeof(Entry);
  struct alignas(kCacheLine) Bucket {
    Entry entries[kWays];
  };

  static Entry* find(Bucket& bucket, uint32_t key, uint32_t now_ms);
  static Entry& place(Bucket& bucket, uint32_t now_ms, uint64_t chance);

  const std::unique_ptr<Bucket[]> buckets_;
  uint64_t loop_until_ns_ = 0;
};

}  // namespace mcfleet
