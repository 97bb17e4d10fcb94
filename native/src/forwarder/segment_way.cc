#include "forwarder/segment_way.h"

#include <algorithm>

#include "base/unix_time.h"
#include "packet/bytes.h"

namespace mcfleet {
namespace {

// Walks through bytes that lie in pieces.
class Cursor final {
 public:
  explicit Cursor(std::span<const iovec> pieces) : pieces_(pieces) {}

  // The next `bytes`, in as many pieces as there is room for in `to`; how many these are, and 0 if
  // they do not fit.
  size_t take(size_t bytes, std::span<iovec> to) {
    size_t count = 0;
    while (bytes > 0 && !pieces_.empty()) {
      if (count == to.size()) return 0;
      const iovec& piece = pieces_.front();
      const size_t part = std::min(bytes, piece.iov_len - offset_);
      to[count++] = {static_cast<uint8_t*>(piece.iov_base) + offset_, part};
      bytes -= part;
      offset_ += part;
      if (offset_ < piece.iov_len) break;
      pieces_ = pieces_.subspan(1);
      offset_ = 0;
    }
    return count;
  }

 private:
  std::span<const iovec> pieces_;
  size_t offset_ = 0;
};

// Whether a super-frame that was refused with this error may leave in single packets.
bool is_of_super_frame(DropReason reason) {
  return reason == DropReason::kTxError || reason == DropReason::kMtu;
}

}  // namespace

SegmentWay::Found SegmentWay::find(uint16_t port) const {
  for (const auto& one : view_) {
    Sender* sender = one.load(std::memory_order_acquire);
    if (sender == nullptr) break;
    const TrackedSocket* socket = sender->view.load(std::memory_order_acquire);
    if (socket != nullptr && socket->port == port) return {sender, socket};
  }
  return {};
}

bool SegmentWay::serves(uint16_t port, uint32_t packets, uint64_t time_ns) {
  const Sender* sender = find(port).sender;
  if (sender == nullptr) {
    counters_.packets.add(packets);
    want(port);
    return false;
  }
  // Also when the clock was set back.
  return time_ns - sender->refused_ns >= kRefusedNs;
}

// While the control thread forgets them from the last one on, one may be lost: it is asked for
// again.
void SegmentWay::want(uint16_t port) {
  for (auto& one : wanted_) {
    const uint16_t wanted = one.load(std::memory_order_relaxed);
    if (wanted == 0) one.store(port, std::memory_order_relaxed);
    if (wanted == 0 || wanted == port) return;
  }
}

bool SegmentWay::send(const Frame& frame, OutputCounters& counters) {
  const Datagram& all = frame.datagram;
  const auto [sender, socket] = find(load16(frame.ip + all.ip_header));
  if (sender == nullptr) {
    // It was closed just now.
    counters_.packets.add(all.segments);
    return false;
  }
  sender->used_ns.store(frame.time_ns, std::memory_order_relaxed);
  if (sender->serial != socket->serial) {
    sender->serial = socket->serial;
    sender->type_of_service = 0;
  }
  sender->tracked.use(socket, frame.device_tells);
  SegmentMessage message(frame.ip, all.segment_size);
  if (sender->type_of_service != message.type_of_service()) {
    if (!set_type_of_service(socket->fd.get(), message.type_of_service())) return false;
    sender->type_of_service = message.type_of_service();
  }
  Cursor cursor(frame.payload);
  std::array<iovec, SegmentMessage::kMostSegments + 1> pieces;
  size_t left = all.udp_length - kUdpHeader;
  for (uint32_t segments = all.segments; segments > 0;) {
    const auto some = std::min<uint32_t>(segments, SegmentMessage::kMostSegments);
    const size_t bytes = std::min(left, size_t{some} * all.segment_size);
    const size_t count = cursor.take(bytes, pieces);
    const TxAccount account{&counters, some,
                            bytes + size_t{some} * (size_t{all.ip_header} + kUdpHeader), true};
    const auto failure = sender->tracked.send(message.with({pieces.data(), count}), account);
    if (failure) {
      if (segments == all.segments && is_of_super_frame(failure->reason)) {
        sender->refused_ns = frame.time_ns;
        return false;
      }
      if (failure->reason == DropReason::kTxFull && !failure->all) refusals_.count(some);
      counters.drops.add(failure->reason, some);
    }
    segments -= some;
    left -= bytes;
  }
  return true;
}

void SegmentWay::settle() {
  for (const auto& one : view_) {
    Sender* sender = one.load(std::memory_order_acquire);
    if (sender == nullptr) return;
    if (sender->tracked.settled()) continue;
    const TrackedSocket* socket = sender->view.load(std::memory_order_acquire);
    // Of another one than the last nothing is known any more.
    if (socket == nullptr || socket->serial != sender->serial) {
      sender->tracked.use(nullptr, false);
      sender->serial = 0;
    }
    sender->tracked.settle();
  }
}

bool SegmentWay::settled() const {
  return std::all_of(view_.begin(), view_.end(), [](const auto& one) {
    const Sender* sender = one.load(std::memory_order_acquire);
    return sender == nullptr || sender->tracked.settled();
  });
}

void SegmentWay::forget(std::span<const OutputCounters* const> gone) {
  for (const auto& one : view_) {
    Sender* sender = one.load(std::memory_order_acquire);
    if (sender == nullptr) return;
    sender->tracked.forget(gone);
  }
}

SegmentWay::Sender* SegmentWay::free_sender() {
  for (size_t i = 0; i < kSockets; i++) {
    if (senders_[i] == nullptr) {
      senders_[i] = std::make_unique<Sender>();
      senders_[i]->tracked.count_refusals(&refusals_);
      view_[i].store(senders_[i].get(), std::memory_order_release);
    }
    if (senders_[i]->socket == nullptr) return senders_[i].get();
  }
  return nullptr;
}

size_t SegmentWay::open_wanted(int ifindex, int family, const LocalPorts& ports, size_t room) {
  size_t done = 0;
  for (auto one = wanted_.rbegin(); one != wanted_.rend(); one++) {
    const uint16_t port = one->exchange(0, std::memory_order_relaxed);
    if (port == 0 || find(port).sender != nullptr || !ports.holds(port)) continue;
    Sender* sender = done < room ? free_sender() : nullptr;
    if (sender == nullptr) {
      counters_.refused.add(1);
      continue;
    }
    Result<TrackedSocket> opened = open_segment_socket(ifindex, family, port);
    // A program that has the port may give it back: the worker asks again.
    if (!opened.ok()) {
      counters_.failed.add(1);
      continue;
    }
    sender->socket = std::make_unique<TrackedSocket>(std::move(opened.value()));
    sender->used_ns.store(unix_nano(), std::memory_order_relaxed);
    sender->view.store(sender->socket.get(), std::memory_order_release);
    done++;
  }
  return done;
}

size_t SegmentWay::open() const {
  return static_cast<size_t>(std::count_if(view_.begin(), view_.end(), [](const auto& one) {
    const Sender* sender = one.load(std::memory_order_acquire);
    return sender != nullptr && sender->view.load(std::memory_order_relaxed) != nullptr;
  }));
}

void SegmentWay::close_unused_since(uint64_t time_ns,
                                    std::vector<std::unique_ptr<TrackedSocket>>& retired) {
  for (const auto& sender : senders_) {
    if (sender == nullptr || sender->socket == nullptr) continue;
    if (sender->used_ns.load(std::memory_order_relaxed) > time_ns) continue;
    sender->view.store(nullptr, std::memory_order_release);
    retired.push_back(std::move(sender->socket));
  }
}

}  // namespace mcfleet
