#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>

#include "probe/payload.h"

namespace mcfleet::probe {

// One fingerprint of a set of payloads, equal at the sender and the receiver if and only if the
// same payloads were sent and received: the sum modulo 2^256 of the SHA-256 of each payload's
// stable part (flow, size, sequence, pattern). A sum does not depend on the order of arrival, so
// nothing needs to be buffered; whoever uses it must leave out duplicates.
class PayloadDigest final {
 public:
  void add(std::span<const std::uint8_t> payload);
  // 64 hexadecimal digits; all zero for no payload.
  [[nodiscard]] std::string hex() const;

 private:
  std::array<std::uint64_t, 4> sum_{};  // least significant first
};

}  // namespace mcfleet::probe
