#include "forwarder/ring_memory.h"

#include <unistd.h>

#include <cerrno>

#include "ring/rx_ring.h"

namespace mcfleet {
namespace {

std::string mebibytes(size_t bytes) {
  constexpr size_t kMebibyte = size_t{1} << 20;
  return std::to_string((bytes + kMebibyte - 1) / kMebibyte) + " MiB";
}

std::string too_much(size_t all, size_t most, const char* or_less) {
  return ": receive rings would have " + mebibytes(all) + " together, and may have " +
         mebibytes(most) +
         ", half of this host's memory; take smaller ones (--ring-ms, --ring-bytes)" + or_less;
}

}  // namespace

size_t RingMemory::half_of_host() {
  // Both are always known.
  return static_cast<size_t>(sysconf(_SC_PHYS_PAGES)) / 2 *
         static_cast<size_t>(sysconf(_SC_PAGE_SIZE));
}

Result<RingMemory::Share> RingMemory::take(size_t rings, size_t bytes, const std::string& what) {
  const size_t more = rings * RxRing::size_of(bytes);
  if (more > most_ - taken_) {
    return Error{ENOMEM, what + too_much(taken_ + more, most_,
                                         ", fewer packet threads (--workers), or fewer input "
                                         "interfaces")};
  }
  taken_ += more;
  return Share(*this, more);
}

Status RingMemory::holds_input(size_t workers, size_t bytes) const {
  const size_t all = workers * RxRing::size_of(bytes);
  if (all <= most_) return {};
  return Error{EINVAL, "receive on any interface with " + std::to_string(workers) +
                           " packet threads and rings of " + mebibytes(bytes) +
                           too_much(all, most_, ", or fewer packet threads (--workers)")};
}

}  // namespace mcfleet
