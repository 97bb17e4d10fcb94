#pragma once

#include <linux/io_uring.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/result.h"
#include "base/unique_fd.h"

namespace mcfleet {

// What a process may do with io_uring here.
enum class UringSupport : uint8_t {
  kReady,
  // kernel.io_uring_disabled, or a seccomp filter such as that of a container (EPERM, EACCES).
  kForbidden,
  // A kernel without io_uring (ENOSYS), or before Linux 6.1 (EINVAL).
  kTooOld,
  // Anything else: too little memory, too many descriptors.
  kFailed,
};

// What the errno of a failed set-up means.
UringSupport classify_uring_error(int error);

// Found out once.
UringSupport uring_support();

// Sends messages out of one socket through an io_uring of its own, in which the socket is a
// registered file. Both queues hold every message of a call, so that none can overflow, and a call
// returns when all of its messages are done: nothing is under way between calls.
//
// Made by any thread; used by one thread only, the one of the first send() (SINGLE_ISSUER).
class UringSender final {
 public:
  // Most messages of one send().
  static constexpr unsigned kEntries = 64;

  // `socket` may be closed afterwards: the ring keeps the file.
  static Result<std::unique_ptr<UringSender>> open(int socket);
  UringSender(const UringSender&) = delete;
  UringSender& operator=(const UringSender&) = delete;
  ~UringSender();

  // Sends all messages, in their order, without waiting for room, and writes for each how many
  // bytes went out, or the negative errno. At most kEntries. Allocates nothing.
  void send(std::span<const mmsghdr> messages, std::span<int> results);

 private:
  explicit UringSender(UniqueFd ring) : ring_(std::move(ring)) {}
  Status map(const io_uring_params& params);
  void queue(unsigned index, const mmsghdr& message);
  // Takes completions, and returns how many there were.
  unsigned reap(std::span<int> results);

  // One mmap(2) of the ring's descriptor.
  struct Mapping {
    void* at = MAP_FAILED;
    size_t bytes = 0;
  };

  UniqueFd ring_;
  bool enabled_ = false;
  Mapping rings_;
  Mapping entries_;
  io_uring_sqe* sqes_ = nullptr;
  unsigned* sq_head_ = nullptr;
  unsigned* sq_tail_ = nullptr;
  unsigned sq_mask_ = 0;
  unsigned* cq_head_ = nullptr;
  unsigned* cq_tail_ = nullptr;
  unsigned cq_mask_ = 0;
  const io_uring_cqe* cqes_ = nullptr;
};

}  // namespace mcfleet
