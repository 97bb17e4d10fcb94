#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace mcfleet {

// At most `Size` objects, known by number. Memory is reserved once, and touched as far as that many
// were ever in use.
template <typename T, size_t Size>
class Pool final {
 public:
  static constexpr uint16_t kNone = 0xffff;
  static_assert(Size <= kNone);

  Pool() {
    objects_.reserve(Size);
    free_.reserve(Size);
  }

  // As made, or as it was given back; kNone if all are in use.
  uint16_t take() {
    if (!free_.empty()) {
      const uint16_t index = free_.back();
      free_.pop_back();
      return index;
    }
    if (objects_.size() == Size) return kNone;
    objects_.emplace_back();
    return static_cast<uint16_t>(objects_.size() - 1);
  }
  void give_back(uint16_t index) { free_.push_back(index); }

  T& operator[](uint16_t index) { return objects_[index]; }
  const T& operator[](uint16_t index) const { return objects_[index]; }

 private:
  std::vector<T> objects_;
  std::vector<uint16_t> free_;
};

}  // namespace mcfleet
