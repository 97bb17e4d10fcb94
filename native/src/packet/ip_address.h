#pragma once

#include <compare>
#include <cstdint>

#include "packet/bytes.h"

namespace mcfleet {

// An IPv4 or IPv6 address in 128 bits, IPv4 ones mapped (RFC 4291, section 2.5.5.2), so that both
// lie in one list in their order. Host order.
class IpAddress final {
 public:
  // None, which is also "::".
  constexpr IpAddress() = default;
  // IPv4; 0 is none.
  constexpr IpAddress(uint32_t ipv4) : low_(ipv4 == 0 ? 0 : kMapped | ipv4) {}
  // The 16 bytes at `bytes`.
  static IpAddress ipv6(const uint8_t* bytes) {
    IpAddress address;
    address.high_ = load64(bytes);
    address.low_ = load64(bytes + 8);
    return address;
  }

  [[nodiscard]] constexpr bool none() const { return high_ == 0 && low_ == 0; }
  [[nodiscard]] constexpr bool is_ipv4() const { return high_ == 0 && low_ >> 32 == kMapped >> 32; }
  [[nodiscard]] constexpr bool is_group() const {
    return is_ipv4() ? ipv4() >> 28 == 0xe : high_ >> 56 == 0xff;
  }
  // Of an IPv4 address; 0 for none.
  [[nodiscard]] constexpr uint32_t ipv4() const { return static_cast<uint32_t>(low_ & 0xffffffff); }
  [[nodiscard]] constexpr uint64_t high() const { return high_; }
  [[nodiscard]] constexpr uint64_t low() const { return low_; }
  // Writes the 16 bytes of an IPv6 address.
  void write_ipv6(uint8_t* bytes) const {
    store64(bytes, high_);
    store64(bytes + 8, low_);
  }

  auto operator<=>(const IpAddress&) const = default;

 private:
  static constexpr uint64_t kMapped = uint64_t{0xffff} << 32;

  uint64_t high_ = 0;
  uint64_t low_ = 0;
};

}  // namespace mcfleet
