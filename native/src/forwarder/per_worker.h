#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

namespace mcfleet {

// One of something for each worker, which alone writes it: no two share a cache line if `T` is
// aligned to it.
template <typename T>
class PerWorker final {
 public:
  explicit PerWorker(size_t workers) : size_(workers), all_(std::make_unique<T[]>(workers)) {}

  [[nodiscard]] size_t size() const { return size_; }
  // Of the first worker; the others follow.
  [[nodiscard]] T* data() { return all_.get(); }

  // Of all workers, what `read` gives of each.
  template <typename Read>
  [[nodiscard]] uint64_t sum(Read&& read) const {
    uint64_t total = 0;
    for (size_t i = 0; i < size_; i++) total += read(static_cast<const T&>(all_[i]));
    return total;
  }

 private:
  size_t size_;
  std::unique_ptr<T[]> all_;
};

}  // namespace mcfleet
