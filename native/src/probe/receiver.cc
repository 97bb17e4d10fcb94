#include "probe/receiver.h"

#include <poll.h>

#include <algorithm>

#include "probe/clock.h"

namespace mcfleet::probe {

namespace {

// How often a waiting receiver looks whether it is to end.
constexpr int kPollMs = 20;
constexpr int kBatchesBetweenChecks = 16;
// While packets come, it looks every so often instead of being woken for each: waking costs the
// sender's core microseconds, where both are on one machine. Short enough for the smallest socket
// buffers (200 KiB hold 90 packets); latency is the kernel's stamp, not ours.
constexpr std::uint64_t kPauseBetweenLooks = 100'000;

}  // namespace

Result<std::unique_ptr<Receiver>> Receiver::open(const ReceiveOptions& options) {
  auto source = options.raw ? open_ring_source(options) : open_udp_source(options);
  if (!source) return source.error();
  return std::unique_ptr<Receiver>(new Receiver(options, std::move(source.value())));
}

Status Receiver::run() {
  const Status ended = receive_until_end();
  // A receiver whose report is still held must not go on taking packets and ring memory.
  source_.reset();
  return ended;
}

Status Receiver::receive_until_end() {
  started_ = monotonic_now();
  bool busy = false;
  while (!stopping_.load(std::memory_order_relaxed)) {
    pollfd readable{source_->descriptor(), POLLIN, 0};
    if (busy) {
      sleep_until(monotonic_now() + kPauseBetweenLooks);
    } else if (::poll(&readable, 1, kPollMs) < 0 && errno != EINTR) {
      return Error::from_errno("poll");
    }
    const auto any = receive_what_is_there();
    if (!any) return any.error();
    const std::uint64_t now = monotonic_now();
    busy = any.value();
    if (busy) {
      if (!first_packet_) first_packet_ = now;
      last_packet_ = now;
      active_nanoseconds.set(now - *first_packet_);
    }
    if (!complete_ && options_.count && account_.received.get() >= *options_.count) complete_ = now;
    const auto dropped = source_->drops();
    if (!dropped) return dropped.error();
    drops.set(dropped.value());
    if (finished(now)) break;
  }
  return {};
}

Result<bool> Receiver::receive_what_is_there() {
  const auto seen = [this] {
    return account_.received.get() + account_.duplicates.get() + account_.stale.get() +
           account_.corrupt.get() + account_.unaccounted.get();
  };
  const std::uint64_t before = seen();
  for (int batch = 0; batch < kBatchesBetweenChecks; ++batch) {
    const auto more = source_->receive(account_);
    if (!more) return more.error();
    if (!more.value()) break;
  }
  // What is not a probe's does not keep the receiver waiting for more.
  return seen() != before;
}

bool Receiver::finished(std::uint64_t now) const {
  if (options_.duration && now - started_ >= *options_.duration) return true;
  if (complete_ && now - *complete_ >= options_.settle) return true;
  if (!first_packet_) return options_.timeout && now - started_ >= *options_.timeout;
  return options_.idle && now - last_packet_ >= *options_.idle;
}

std::uint64_t Receiver::lost() const {
  const std::uint64_t received = account_.received.get();
  const std::uint64_t missing =
      options_.count && *options_.count > received ? *options_.count - received : 0;
  return std::max(missing, account_.gaps.get());
}

}  // namespace mcfleet::probe
