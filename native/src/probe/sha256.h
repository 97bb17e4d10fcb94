#pragma once

#include <array>
#include <cstdint>
#include <span>

namespace mcfleet::probe {

using Sha256 = std::array<std::uint8_t, 32>;

// FIPS 180-4. Uses the processor's SHA extensions where it has them (about 1.5 GB/s instead of
// 0.3).
[[nodiscard]] Sha256 sha256(std::span<const std::uint8_t> message);

// The same without the extensions; for machines that lack them, and for the test that compares the
// two.
[[nodiscard]] Sha256 sha256_portable(std::span<const std::uint8_t> message);

}  // namespace mcfleet::probe
