#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "packet/ip_address.h"

namespace mcfleet {

// Numbers IPv6 addresses, so that tables compare 32 bits in place of 128. Immutable: a flat hash
// table with linear probing.
class AddressNumbers final {
 public:
  // Of an address that has no number.
  static constexpr uint32_t kNone = 0;

  // Each of `addresses`, which may name one several times, gets a number from 1 on.
  explicit AddressNumbers(std::vector<IpAddress> addresses);

  [[nodiscard]] uint32_t find(const IpAddress& address) const {
    for (size_t i = hash(address) & mask_; slots_[i].number != kNone; i = (i + 1) & mask_) {
      if (slots_[i].address == address) return slots_[i].number;
    }
    return kNone;
  }

 private:
  // `number` kNone: empty.
  struct Slot {
    IpAddress address;
    uint32_t number = kNone;
  };

  [[nodiscard]] static size_t hash(const IpAddress& address) {
    uint64_t value = address.high() * 0x9e3779b97f4a7c15U ^ address.low();
    value ^= value >> 29;
    value *= 0xff51afd7ed558ccdU;
    return value ^ value >> 32;
  }

  size_t mask_;
  std::vector<Slot> slots_;
};

}  // namespace mcfleet
