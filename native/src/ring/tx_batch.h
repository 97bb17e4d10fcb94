#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/counters.h"
#include "packet/ip_address.h"
#include "ring/held_packets.h"

namespace mcfleet {

class TrackedSender;
class UringSender;

// Messages that wait to be sent out of one socket. What is short is contiguous in one arena, so
// that it costs one iovec; of what is long only the headers are, and the payload is sent from where
// it lies. Memory is taken as far as it was ever filled. One thread only.
class TxBatch final {
 public:
  static constexpr size_t kMessages = 64;
  // 64 frames of 4 KiB.
  static constexpr size_t kArenaBytes = size_t{256} << 10;
  // Of all messages together; a message may have as many (UIO_MAXIOV).
  static constexpr size_t kVectors = 1024;

  TxBatch();
  TxBatch(const TxBatch&) = delete;
  TxBatch& operator=(const TxBatch&) = delete;

  [[nodiscard]] bool empty() const { return count_ == 0; }
  // Room for one message of up to `bytes`, at most kArenaBytes, and `pieces` that lie elsewhere,
  // fewer than kVectors; null if the batch must be sent first.
  uint8_t* reserve(size_t bytes, size_t pieces = 0) {
    return fits(1, bytes, pieces) ? arena_.get() + used_ : nullptr;
  }
  // Whether `messages` more of up to `bytes` each fit before it must be sent.
  [[nodiscard]] bool fits(size_t messages, size_t bytes, size_t pieces = 0) const {
    return count_ + messages <= kMessages && used_ + messages * bytes <= kArenaBytes &&
           used_vectors_ + messages * (1 + pieces) <= kVectors;
  }
  // Takes the first `bytes` of the last reserve() as a message. `destination`: for sockets that
  // route, none for others.
  void commit(size_t bytes, const IpAddress& destination, const TxAccount& account) {
    commit(bytes, {}, destination, account);
  }
  // As above; `pieces` follow those bytes. They must stay as they are until the batch is sent.
  void commit(size_t bytes, std::span<const iovec> pieces, const IpAddress& destination,
              const TxAccount& account);

  // Counts there how often the interface refuses a message. It must outlive the batch.
  void count_refusals(RefusalCounters* refusals) { refusals_ = refusals; }

  // Sends everything with sendmmsg(2), as the socket takes it. Each message is accounted once, as
  // sent or as lost with its reason; one that is refused does not keep the others back.
  void send(int fd);
  // As above, through io_uring.
  void send(UringSender& sender);
  // As above; what is taken is held there, and accounted when it has left or is lost.
  void send(TrackedSender& sender);
  // Accounts everything as lost.
  void drop_all(DropReason reason);

  // `send` is called as sendmmsg(2) would be, with an array and its size; it returns a count, or -1
  // with errno set.
  template <typename Send>
  void send_with(Send&& send);
  // `send(messages, results)` sends all messages and writes for each what it gave: not negative, or
  // the negative errno.
  template <typename Send>
  void send_all_with(Send&& send);

 private:
  union Destination {
    sockaddr_in ipv4;
    sockaddr_in6 ipv6;
  };

  static socklen_t write_destination(Destination& to, const IpAddress& address);
  void account_sent(size_t index);
  void account_lost(size_t index, DropReason reason);
  void count_refusal(size_t index);
  void clear();

  std::unique_ptr<uint8_t[]> arena_;
  size_t used_ = 0;
  size_t used_vectors_ = 0;
  size_t count_ = 0;
  // Why a fragment of the datagram under way was lost; kCount if none was. It outlives the batch:
  // fragments may be cut apart.
  DropReason datagram_lost_ = DropReason::kCount;
  std::array<mmsghdr, kMessages> messages_{};
  std::unique_ptr<iovec[]> vectors_;
  std::array<Destination, kMessages> destinations_{};
  std::array<TxAccount, kMessages> accounts_{};
  RefusalCounters* refusals_ = nullptr;
};

// What an errno of a send means for the packet, and whether the rest of the batch shares its fate.
struct SendFailure {
  DropReason reason;
  bool all;
};
SendFailure classify_send_error(int error);

template <typename Send>
void TxBatch::send_with(Send&& send) {
  size_t next = 0;
  // Whether the next message was tried, and is tried again: sendmmsg tells the error of a message
  // only when it is the first.
  bool again = false;
  while (next < count_) {
    const int sent = send(messages_.data() + next, static_cast<unsigned>(count_ - next));
    const int error = sent > 0 ? 0 : sent < 0 ? errno : EIO;
    if (error == EINTR) continue;
    // A queue that refused it before has room by now, or refuses it again.
    if (again && (error == 0 || error == ENOBUFS)) count_refusal(next);
    again = error == 0;
    if (error == 0) {
      for (int i = 0; i < sent; i++) account_sent(next++);
      continue;
    }
    if (error == ENOBUFS) count_refusal(next);
    const SendFailure failure = classify_send_error(error);
    const size_t end = failure.all ? count_ : next + 1;
    while (next < end) account_lost(next++, failure.reason);
  }
  clear();
}

template <typename Send>
void TxBatch::send_all_with(Send&& send) {
  std::array<int, kMessages> results;
  send(std::span<const mmsghdr>(messages_.data(), count_), std::span(results.data(), count_));
  for (size_t i = 0; i < count_; i++) {
    if (results[i] >= 0) {
      account_sent(i);
    } else {
      if (results[i] == -ENOBUFS) count_refusal(i);
      account_lost(i, classify_send_error(-results[i]).reason);
    }
  }
  clear();
}

}  // namespace mcfleet
