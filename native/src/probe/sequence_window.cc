#include "probe/sequence_window.h"

#include <algorithm>

namespace mcfleet::probe {

SequenceWindow::Arrival SequenceWindow::arrive(std::uint64_t sequence) {
  if (empty_ || sequence > highest_) {
    if (!empty_) forget(highest_ + 1, sequence);
    empty_ = false;
    highest_ = sequence;
    bits_[word(sequence)] |= mask(sequence);
    return Arrival::in_order;
  }
  if (highest_ - sequence >= kSize) return Arrival::stale;
  if (seen(sequence)) return Arrival::duplicate;
  bits_[word(sequence)] |= mask(sequence);
  return Arrival::reordered;
}

// The places of these numbers were those of numbers that have left the window.
void SequenceWindow::forget(std::uint64_t first, std::uint64_t last) {
  if (last - first >= kSize - 1) {
    std::fill(bits_.begin(), bits_.end(), 0);
    return;
  }
  std::uint64_t left = last - first + 1;
  for (std::uint64_t sequence = first; left > 0;) {
    const bool whole_word = sequence % 64 == 0 && left >= 64;
    bits_[word(sequence)] &= whole_word ? 0 : ~mask(sequence);
    sequence += whole_word ? 64 : 1;
    left -= whole_word ? 64 : 1;
  }
}

}  // namespace mcfleet::probe
