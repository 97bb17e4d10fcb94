#pragma once

#include <cstddef>
#include <cstdint>

namespace mcfleet {

// The Internet checksum (RFC 1071). Sums are ones' complement sums of big-endian 16-bit words, not
// complemented.

// Folds carries back until 16 bits are left.
inline uint16_t fold(uint64_t sum) {
  while (sum >> 16 != 0) sum = (sum & 0xffff) + (sum >> 16);
  return static_cast<uint16_t>(sum);
}

// Sum over `size` bytes; an odd last byte is padded with zero.
uint16_t sum_bytes(const uint8_t* data, size_t size);

// Sum of the IPv4 pseudo-header of a UDP datagram (RFC 768).
uint16_t sum_udp_pseudo_header(uint32_t source, uint32_t destination, uint16_t udp_length);

// Collects changed words and applies them to a checksum: RFC 1624, equation 3. What was wrong stays
// wrong by the same amount.
class ChecksumChange final {
 public:
  void word(uint16_t from, uint16_t to) { sum_ += static_cast<uint16_t>(~from) + uint64_t{to}; }
  void address(uint32_t from, uint32_t to) {
    word(static_cast<uint16_t>(from >> 16), static_cast<uint16_t>(to >> 16));
    word(static_cast<uint16_t>(from & 0xffff), static_cast<uint16_t>(to & 0xffff));
  }
  // For a finished checksum field, which holds the complement of a sum.
  [[nodiscard]] uint16_t apply(uint16_t checksum) const {
    return static_cast<uint16_t>(~fold(static_cast<uint16_t>(~checksum) + sum_));
  }
  // For a partial checksum field, which holds the sum of the pseudo-header itself
  // (CHECKSUM_PARTIAL, skbuff.h).
  [[nodiscard]] uint16_t apply_to_sum(uint16_t sum) const { return fold(sum + sum_); }

 private:
  uint64_t sum_ = 0;
};

}  // namespace mcfleet
