#include <algorithm>
#include <memory>
#include <random>
#include <set>

#include "check.h"
#include "probe/sequence_window.h"

using mcfleet::probe::SequenceWindow;
using Arrival = SequenceWindow::Arrival;

namespace {

// The same judgement from a set of all numbers ever seen.
class Model final {
 public:
  Arrival arrive(std::uint64_t sequence) {
    if (seen_.empty() || sequence > *seen_.rbegin()) {
      seen_.insert(sequence);
      return Arrival::in_order;
    }
    if (*seen_.rbegin() - sequence >= SequenceWindow::kSize) return Arrival::stale;
    return seen_.insert(sequence).second ? Arrival::reordered : Arrival::duplicate;
  }
  [[nodiscard]] std::uint64_t highest() const { return seen_.empty() ? 0 : *seen_.rbegin(); }

 private:
  std::set<std::uint64_t> seen_;
};

// Steps forward, small and of the size of the window, and back: by a few, and around the window's
// edge.
void agrees_with_a_model() {
  for (unsigned seed = 0; seed < 200; ++seed) {
    std::mt19937_64 random(seed);
    SequenceWindow window;
    Model model;
    for (int step = 0; step < 2000; ++step) {
      const std::uint64_t highest = model.highest();
      std::uint64_t sequence = highest + 1;
      switch (random() % 8) {
        case 0:
          sequence = highest + 1 + random() % 200;
          break;
        case 1:
          sequence = highest - std::min<std::uint64_t>(highest, random() % 300);
          break;
        case 2:
          if (random() % 8 == 0) sequence = highest + SequenceWindow::kSize - 70 + random() % 140;
          break;
        case 3:
          sequence = highest -
                     std::min<std::uint64_t>(highest, SequenceWindow::kSize - 70 + random() % 140);
          break;
        default:
          break;
      }
      CHECK(window.arrive(sequence) == model.arrive(sequence));
    }
  }
}

void ends_at_the_largest_number() {
  SequenceWindow window;
  CHECK(window.arrive(UINT64_MAX - 100) == Arrival::in_order);
  CHECK(window.arrive(UINT64_MAX) == Arrival::in_order);
  CHECK(window.arrive(UINT64_MAX) == Arrival::duplicate);
  CHECK(window.arrive(UINT64_MAX - 50) == Arrival::reordered);
  CHECK(window.arrive(0) == Arrival::stale);
}

}  // namespace

int main() {
  agrees_with_a_model();
  ends_at_the_largest_number();
}
