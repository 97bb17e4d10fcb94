#pragma once

#include <cstdint>
#include <limits>

namespace mcfleet::probe {

// When the packets of a paced stream are due: packet k at k / rate, counted from the first.
// Computed for each from the start, so that rounding does not add up.
class Schedule final {
 public:
  // The rate in thousandths of a packet per second, 1 to 10^11.
  explicit Schedule(std::uint64_t millipackets_per_second) : rate_(millipackets_per_second) {}

  // Nanoseconds after the first packet; saturates after 584 years.
  [[nodiscard]] std::uint64_t due_at(std::uint64_t packet) const {
    const Wide time = static_cast<Wide>(packet) * kScale / rate_;
    return time > std::numeric_limits<std::uint64_t>::max()
               ? std::numeric_limits<std::uint64_t>::max()
               : static_cast<std::uint64_t>(time);
  }

  // How many packets are due at this time: the number of k with due_at(k) <= elapsed.
  [[nodiscard]] std::uint64_t due_by(std::uint64_t elapsed_ns) const {
    // floor(k * scale / rate) <= e  <=>  k * scale < (e + 1) * rate
    const Wide product = (static_cast<Wide>(elapsed_ns) + 1) * rate_;
    return static_cast<std::uint64_t>((product - 1) / kScale + 1);
  }

 private:
  __extension__ using Wide = unsigned __int128;
  static constexpr std::uint64_t kScale = 1'000'000'000'000;  // nanoseconds times a thousand

  std::uint64_t rate_;
};

}  // namespace mcfleet::probe
