#include "ring/tx_batch.h"

#include <arpa/inet.h>

#include "ring/tracked_sender.h"
#include "ring/uring_sender.h"

namespace mcfleet {

TxBatch::TxBatch()
    : arena_(std::make_unique_for_overwrite<uint8_t[]>(kArenaBytes)),
      vectors_(std::make_unique_for_overwrite<iovec[]>(kVectors)) {}

void TxBatch::commit(size_t bytes, std::span<const iovec> pieces, const IpAddress& destination,
                     const TxAccount& account) {
  msghdr& header = messages_[count_].msg_hdr;
  header.msg_iov = &vectors_[used_vectors_];
  header.msg_iovlen = 1 + pieces.size();
  vectors_[used_vectors_++] = {arena_.get() + used_, bytes};
  for (const iovec& piece : pieces) vectors_[used_vectors_++] = piece;
  if (!destination.none()) {
    header.msg_name = &destinations_[count_];
    header.msg_namelen = write_destination(destinations_[count_], destination);
  } else {
    header.msg_name = nullptr;
    header.msg_namelen = 0;
  }
  accounts_[count_] = account;
  used_ += bytes;
  count_++;
}

socklen_t TxBatch::write_destination(Destination& to, const IpAddress& address) {
  to = {};
  if (address.is_ipv4()) {
    to.ipv4.sin_family = AF_INET;
    to.ipv4.sin_addr.s_addr = htonl(address.ipv4());
    return sizeof(to.ipv4);
  }
  // Without a scope: the socket is bound to an interface.
  to.ipv6.sin6_family = AF_INET6;
  address.write_ipv6(to.ipv6.sin6_addr.s6_addr);
  return sizeof(to.ipv6);
}

void TxBatch::send(int fd) {
  send_with([fd](mmsghdr* messages, unsigned count) {
    return sendmmsg(fd, messages, count, MSG_DONTWAIT | MSG_NOSIGNAL);
  });
}

void TxBatch::send(UringSender& sender) {
  static_assert(kMessages <= UringSender::kEntries);
  if (empty()) return;
  send_all_with([&](std::span<const mmsghdr> messages, std::span<int> results) {
    sender.send(messages, results);
  });
}

void TxBatch::send(TrackedSender& sender) {
  for (size_t i = 0; i < count_; i++) {
    const TxAccount& account = accounts_[i];
    const bool whole = datagram_lost_ == DropReason::kCount;
    // Of a datagram of which a fragment was refused nothing is left to account there.
    const auto failure = sender.send(messages_[i].msg_hdr, whole ? account : TxAccount{});
    if (!failure) {
      if (!whole) account_sent(i);
      continue;
    }
    if (failure->reason == DropReason::kTxFull && !failure->all) count_refusal(i);
    const size_t end = failure->all ? count_ : i + 1;
    for (; i < end; i++) account_lost(i, failure->reason);
    i--;
  }
  clear();
}

void TxBatch::drop_all(DropReason reason) {
  for (size_t i = 0; i < count_; i++) account_lost(i, reason);
  clear();
}

void TxBatch::account_sent(size_t index) {
  const TxAccount& account = accounts_[index];
  if (!account.last) return;
  if (datagram_lost_ == DropReason::kCount) {
    account.counters->packets.add(account.packets);
    account.counters->bytes.add(account.bytes);
  } else {
    account.counters->drops.add(datagram_lost_, account.packets);
    datagram_lost_ = DropReason::kCount;
  }
}

void TxBatch::account_lost(size_t index, DropReason reason) {
  const TxAccount& account = accounts_[index];
  if (datagram_lost_ == DropReason::kCount) datagram_lost_ = reason;
  if (!account.last) return;
  account.counters->drops.add(datagram_lost_, account.packets);
  datagram_lost_ = DropReason::kCount;
}

void TxBatch::count_refusal(size_t index) {
  if (refusals_ != nullptr) refusals_->count(accounts_[index].packets);
}

void TxBatch::clear() {
  used_ = 0;
  used_vectors_ = 0;
  count_ = 0;
}

SendFailure classify_send_error(int error) {
  switch (error) {
    // The device's queue refused one packet; the next may fit.
    case ENOBUFS:
    case ENOMEM:
      return {DropReason::kTxFull, false};
    // The socket's own buffer is full.
    case EAGAIN:
      return {DropReason::kTxFull, true};
    case ENETDOWN:
      return {DropReason::kInterfaceDown, true};
    case ENODEV:
    case ENXIO:
      return {DropReason::kInterfaceMissing, true};
    case EMSGSIZE:
      return {DropReason::kMtu, false};
    case ENETUNREACH:
    case EHOSTUNREACH:
      return {DropReason::kNoRoute, false};
    // No address of this host can be the sender's (ip6_dst_lookup_tail).
    case EADDRNOTAVAIL:
      return {DropReason::kNoSource, false};
    case EPERM:
    case EACCES:
      return {DropReason::kNotPermitted, false};
    default:
      return {DropReason::kTxError, false};
  }
}

}  // namespace mcfleet
