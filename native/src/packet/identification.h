#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <random>

#include "packet/bytes.h"
#include "packet/checksum.h"

namespace mcfleet {

// The identification of IPv4 packets (RFC 791, RFC 6864): what tells a packet that comes back from
// another one that says the same.

// Numbers from here on are taken for the packet's own.
inline constexpr uint16_t kFirstIdentification = 128;

// Whether the sender left it to others to tell its packets apart: zero; or with DF, where the field
// means nothing (RFC 6864, section 4.1), a low number: Linux leaves zero there, and counts up from
// it in the segments of a super-frame, of which there are at most 128 (inet_gso_segment).
inline bool lacks_identification(const uint8_t* ip) {
  constexpr uint16_t kDontFragment = 0x4000;
  const uint16_t id = load16(ip + 4);
  return id == 0 || (id < kFirstIdentification && (load16(ip + 6) & kDontFragment) != 0);
}

// Identifications for packets that lack one. Each comes again only when all others were given.
class Identifications final {
 public:
  // Begins anywhere, so that those of two programs hardly meet.
  Identifications() : Identifications(static_cast<uint16_t>(std::random_device()())) {}
  // Begins near `begin`.
  explicit Identifications(uint16_t begin)
      : next_(static_cast<uint16_t>(begin | kFirstIdentification)) {}

  // The first of `count` that follow each other.
  uint16_t take(size_t count) {
    if (size_t{next_} + count > kEnd) next_ = kFirstIdentification;
    const uint16_t first = next_;
    next_ = static_cast<uint16_t>(next_ + count);
    if (next_ < kFirstIdentification) next_ = kFirstIdentification;
    return first;
  }

 private:
  static constexpr size_t kEnd = 65536;
  uint16_t next_;
};

// Identifications of the fragments that one of several workers makes.
//
// By them and the addresses receivers tell which pieces belong together, and copies of many senders
// may leave with one source. One worker sends all pieces of a datagram before those of the next.
// Two workers send at the same time: each has identifications of its own, told by their upper bits.
// The rest stays, so that what goes round in a loop has one identification from its second round
// on.
class FragmentIdentifications final {
 public:
  FragmentIdentifications(size_t worker, size_t workers)
      : bits_(static_cast<int>(std::bit_width(workers - 1))),
        worker_(static_cast<uint32_t>(worker)) {}

  // For a packet that came with `arrived`.
  uint16_t ipv4(uint16_t arrived) {
    const uint16_t id = arrived != 0 ? arrived : missing_.take(1);
    if (bits_ == 0) return id;
    const uint32_t own = of_worker<16>(id);
    // What stays must be enough by itself: other relays of a loop have other upper bits.
    const bool looks_missing = (own & 0xffffU >> bits_) < kFirstIdentification;
    return static_cast<uint16_t>(looks_missing ? own | kFirstIdentification : own);
  }
  // IPv6 packets come without one.
  uint32_t ipv6() { return of_worker<32>(++last_ipv6_); }

 private:
  template <int Width>
  [[nodiscard]] uint32_t of_worker(uint32_t id) const {
    if (bits_ == 0) return id;
    const int rest = Width - bits_;
    return (id & ((uint32_t{1} << rest) - 1)) | worker_ << rest;
  }

  const int bits_;
  const uint32_t worker_;
  Identifications missing_;
  // Begins anywhere, so that one who is started again does not repeat itself.
  uint32_t last_ipv6_ = std::random_device()();
};

// Whether an IPv6 sender told its flows apart (RFC 6437).
inline bool lacks_flow_label(const uint8_t* ip) {
  return (load32(ip) & 0xfffff) == 0;
}

inline void set_flow_label(uint8_t* ip, uint32_t label) {
  store32(ip, (load32(ip) & ~0xfffffU) | label);
}

inline void set_identification(uint8_t* ip, uint16_t id) {
  ChecksumChange header;
  header.word(load16(ip + 4), id);
  store16(ip + 4, id);
  store16(ip + 10, header.apply(load16(ip + 10)));
}

}  // namespace mcfleet
