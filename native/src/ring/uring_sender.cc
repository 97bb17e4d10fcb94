#include "ring/uring_sender.h"

#include <sys/syscall.h>

#include <atomic>
#include <cerrno>
#include <cstring>

// From later headers than the oldest that we build with.
#ifndef IORING_SETUP_SUBMIT_ALL
#define IORING_SETUP_SUBMIT_ALL (1U << 7)
#endif
#ifndef IORING_SETUP_SINGLE_ISSUER
#define IORING_SETUP_SINGLE_ISSUER (1U << 12)
#endif
#ifndef IORING_SETUP_DEFER_TASKRUN
#define IORING_SETUP_DEFER_TASKRUN (1U << 13)
#endif

namespace mcfleet {

static_assert(sizeof(io_uring_sqe) == 64 && offsetof(io_uring_sqe, user_data) == 32);
static_assert(sizeof(io_uring_cqe) == 16 && offsetof(io_uring_cqe, res) == 8);

namespace {

// No thread but the worker's touches the ring, and completions are made inside its calls only
// (Linux 6.1); a message that is refused does not end the submission (5.18).
constexpr unsigned kSetup = IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                            IORING_SETUP_SUBMIT_ALL | IORING_SETUP_R_DISABLED;

int enter(int ring, unsigned submit, unsigned wait) {
  return static_cast<int>(
      syscall(__NR_io_uring_enter, ring, submit, wait, IORING_ENTER_GETEVENTS, nullptr, 0));
}

int register_with(int ring, unsigned operation, const void* argument, unsigned count) {
  return static_cast<int>(syscall(__NR_io_uring_register, ring, operation, argument, count));
}

// The kernel reads and writes the heads and tails at the same time.
unsigned load(unsigned* at) {
  return std::atomic_ref(*at).load(std::memory_order_acquire);
}
void store(unsigned* at, unsigned value) {
  std::atomic_ref(*at).store(value, std::memory_order_release);
}

unsigned* word(void* rings, unsigned offset) {
  return reinterpret_cast<unsigned*>(static_cast<uint8_t*>(rings) + offset);
}

}  // namespace

UringSupport classify_uring_error(int error) {
  switch (error) {
    case 0:
      return UringSupport::kReady;
    case EPERM:
    case EACCES:
      return UringSupport::kForbidden;
    case ENOSYS:
    case EINVAL:
      return UringSupport::kTooOld;
    default:
      return UringSupport::kFailed;
  }
}

UringSupport uring_support() {
  static const UringSupport support = [] {
    io_uring_params params{};
    params.flags = kSetup;
    const UniqueFd ring(static_cast<int>(syscall(__NR_io_uring_setup, 1, &params)));
    return classify_uring_error(ring.valid() ? 0 : errno);
  }();
  return support;
}

Result<std::unique_ptr<UringSender>> UringSender::open(int socket) {
  io_uring_params params{};
  params.flags = kSetup;
  UniqueFd ring(static_cast<int>(syscall(__NR_io_uring_setup, kEntries, &params)));
  if (!ring.valid()) return Error::from_errno("set up an io_uring");
  // All kernels that know SINGLE_ISSUER map both rings at once.
  if ((params.features & IORING_FEAT_SINGLE_MMAP) == 0) return Error{EINVAL, "map an io_uring"};
  std::unique_ptr<UringSender> sender(new UringSender(std::move(ring)));
  if (Status status = sender->map(params); !status.ok()) return status.error();
  if (register_with(sender->ring_.get(), IORING_REGISTER_FILES, &socket, 1) != 0) {
    return Error::from_errno("register a socket with an io_uring");
  }
  return sender;
}

UringSender::~UringSender() {
  for (const Mapping& mapping : {rings_, entries_}) {
    if (mapping.at != MAP_FAILED) munmap(mapping.at, mapping.bytes);
  }
}

Status UringSender::map(const io_uring_params& params) {
  const auto map_at = [this](Mapping& mapping, size_t bytes, off_t offset) {
    mapping.bytes = bytes;
    mapping.at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
                      ring_.get(), offset);
    return mapping.at != MAP_FAILED;
  };
  const size_t submissions = params.sq_off.array + params.sq_entries * sizeof(unsigned);
  const size_t completions = params.cq_off.cqes + params.cq_entries * sizeof(io_uring_cqe);
  if (!map_at(rings_, submissions > completions ? submissions : completions, IORING_OFF_SQ_RING) ||
      !map_at(entries_, params.sq_entries * sizeof(io_uring_sqe), IORING_OFF_SQES)) {
    return Error::from_errno("map an io_uring");
  }
  void* rings = rings_.at;
  sqes_ = static_cast<io_uring_sqe*>(entries_.at);
  sq_head_ = word(rings, params.sq_off.head);
  sq_tail_ = word(rings, params.sq_off.tail);
  sq_mask_ = *word(rings, params.sq_off.ring_mask);
  cq_head_ = word(rings, params.cq_off.head);
  cq_tail_ = word(rings, params.cq_off.tail);
  cq_mask_ = *word(rings, params.cq_off.ring_mask);
  cqes_ = reinterpret_cast<const io_uring_cqe*>(word(rings, params.cq_off.cqes));
  // Entry i is always at place i.
  for (unsigned i = 0; i < params.sq_entries; i++) word(rings, params.sq_off.array)[i] = i;
  return {};
}

void UringSender::send(std::span<const mmsghdr> messages, std::span<int> results) {
  if (!enabled_) {
    // Makes this thread the one that may use the ring.
    enabled_ = register_with(ring_.get(), IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0;
  }
  const auto count = static_cast<unsigned>(messages.size());
  for (int& result : results) result = -EIO;
  const unsigned tail = *sq_tail_;
  for (unsigned i = 0; i < count; i++) queue((tail + i) & sq_mask_, messages[i]);
  for (unsigned i = 0; i < count; i++) sqes_[(tail + i) & sq_mask_].user_data = i;
  store(sq_tail_, tail + count);
  unsigned done = 0;
  while (done < count) {
    const unsigned unsent = tail + count - load(sq_head_);
    const int entered = enter(ring_.get(), unsent, count - done);
    const int error = entered < 0 ? errno : 0;
    done += reap(results);
    if (error == 0 || error == EINTR) continue;
    // The kernel took none of the rest. What it took before, it must give back.
    const unsigned left = tail + count - load(sq_head_);
    if (left == 0) break;
    store(sq_tail_, tail + count - left);
    for (unsigned i = count - left; i < count; i++) results[i] = -error;
    done += left;
  }
}

void UringSender::queue(unsigned index, const mmsghdr& message) {
  const msghdr& header = message.msg_hdr;
  io_uring_sqe& entry = sqes_[index];
  std::memset(&entry, 0, sizeof(entry));
  entry.fd = 0;
  entry.flags = IOSQE_FIXED_FILE;
  entry.msg_flags = MSG_DONTWAIT | MSG_NOSIGNAL;
  if (header.msg_iovlen == 1 && header.msg_name == nullptr) {
    // Without a msghdr and an iovec to import.
    entry.opcode = IORING_OP_SEND;
    entry.addr = reinterpret_cast<uint64_t>(header.msg_iov->iov_base);
    entry.len = static_cast<uint32_t>(header.msg_iov->iov_len);
  } else {
    entry.opcode = IORING_OP_SENDMSG;
    entry.addr = reinterpret_cast<uint64_t>(&header);
    entry.len = 1;
  }
}

unsigned UringSender::reap(std::span<int> results) {
  const unsigned tail = load(cq_tail_);
  unsigned head = *cq_head_;
  const unsigned count = tail - head;
  for (; head != tail; head++) {
    const io_uring_cqe& completion = cqes_[head & cq_mask_];
    if (completion.user_data < results.size()) results[completion.user_data] = completion.res;
  }
  store(cq_head_, head);
  return count;
}

}  // namespace mcfleet
