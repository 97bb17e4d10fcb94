#include "probe/digest.h"

#include <endian.h>

#include <cstring>

#include "probe/sha256.h"

namespace mcfleet::probe {

void PayloadDigest::add(std::span<const std::uint8_t> payload) {
  const Sha256 hash = sha256(payload.subspan(kStableOffset));
  std::uint64_t carry = 0;
  for (std::size_t i = 0; i < sum_.size(); ++i) {
    std::uint64_t word;
    std::memcpy(&word, hash.data() + 24 - 8 * i, 8);
    std::uint64_t sum;
    const bool first = __builtin_add_overflow(sum_[i], be64toh(word), &sum);
    const bool second = __builtin_add_overflow(sum, carry, &sum_[i]);
    carry = first || second ? 1 : 0;
  }
}

std::string PayloadDigest::hex() const {
  constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (std::size_t i = sum_.size(); i-- > 0;) {
    for (int shift = 60; shift >= 0; shift -= 4) text += digits[(sum_[i] >> shift) & 15];
  }
  return text;
}

}  // namespace mcfleet::probe
