#pragma once

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>

namespace mcfleet {

// Paths of packets (where to, from which sender) of which something is believed for a while. With
// more than kPaths, the one that was noted longest ago is forgotten.
template <size_t kPaths, uint64_t kForNs>
class BelievedPaths final {
 public:
  [[nodiscard]] bool holds(uint64_t path, uint64_t time_ns) const {
    return std::any_of(paths_.begin(), paths_.end(), [&](const Path& one) {
      // Also false when the clock was set back.
      return one.path == path && one.until_ns - time_ns <= kForNs;
    });
  }

  void forget(uint64_t path) {
    for (Path& one : paths_) {
      if (one.path == path) one = {};
    }
  }

  void note(uint64_t path, uint64_t time_ns) {
    Path* place = paths_.data();
    for (Path& one : paths_) {
      if (one.path == path) {
        place = &one;
        break;
      }
      if (one.until_ns < place->until_ns) place = &one;
    }
    *place = {path, time_ns + kForNs};
  }

 private:
  struct Path {
    uint64_t path = 0;
    uint64_t until_ns = 0;
  };

  std::array<Path, kPaths> paths_{};
};

}  // namespace mcfleet
