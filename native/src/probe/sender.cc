#include "probe/sender.h"

#include <sys/prctl.h>

#include <algorithm>
#include <limits>

#include "probe/clock.h"
#include "probe/socket_options.h"

namespace mcfleet::probe {

namespace {

constexpr std::uint64_t kMillisecond = 1'000'000;
// How often a waiting sender looks whether it is to stop.
constexpr std::uint64_t kLongestSleep = 50 * kMillisecond;
// How long to wait before a full queue is tried again, and for how long in all.
constexpr std::uint64_t kRetryPause = 50'000;
constexpr std::uint64_t kRetryLimit = 5'000 * kMillisecond;
// Between a piece of other work and the next packet.
constexpr std::uint64_t kWakeReserve = 1'000;
// How long the first packet to a unicast address has for asking who has it: meanwhile the kernel
// keeps few packets and drops the rest.
constexpr std::uint64_t kNeighbourPause = 20 * kMillisecond;

// Throws away what ICMP has said about earlier packets, so that it does not fail the next ones.
void drain_errors(int socket) {
  std::array<char, 512> buffer;
  while (::recv(socket, buffer.data(), buffer.size(), MSG_ERRQUEUE | MSG_DONTWAIT) >= 0) {
  }
}

}  // namespace

Result<std::unique_ptr<Sender>> Sender::open(const SendOptions& options) {
  auto transmitter = Transmitter::open(options);
  if (!transmitter) return transmitter.error();
  return std::unique_ptr<Sender>(new Sender(options, std::move(transmitter.value())));
}

Sender::Sender(const SendOptions& options, Transmitter transmitter)
    : options_(options),
      transmitter_(std::move(transmitter)),
      schedule_(options.millipackets_per_second),
      count_(options.count.value_or(std::numeric_limits<std::uint64_t>::max())),
      slots_(std::max<std::size_t>(1, kBatch / options.segments)),
      payload_bytes_(std::size_t{options.segments} * options.size),
      // Each frame begins on a cache line of its own.
      frame_bytes_((kFrameHeaderBytes + payload_bytes_ + 63) & ~std::size_t{63}),
      frames_(frame_bytes_ * slots_) {
  if (options_.digest) digest_.emplace(options_.flows, options_.size);
  const std::size_t first_byte = transmitter_.first_byte();
  for (std::size_t slot = 0; slot < slots_; ++slot) {
    vectors_[slot] = {frame(slot).data() + first_byte, frame(slot).size() - first_byte};
    messages_[slot].msg_hdr.msg_iov = &vectors_[slot];
    messages_[slot].msg_hdr.msg_iovlen = 1;
  }
}

Result<SendReport> Sender::run() {
  // The default slack of 50 us would come on top of every sleep.
  if (::prctl(PR_SET_TIMERSLACK, 1UL, 0, 0, 0) < 0) return Error::from_errno("PR_SET_TIMERSLACK");
  const std::uint64_t per_send = options_.segments;
  const std::uint64_t sends = count_ / per_send + (count_ % per_send != 0 ? 1 : 0);
  std::uint64_t start = monotonic_now();
  std::uint64_t done = 0;
  std::uint64_t end = start;
  if (!options_.destination.is_group() && sends > 0) {
    if (Status first = send_batch(0, 1); !first) return first.error();
    done = 1;
    const std::uint64_t second = schedule_.due_at(per_send);
    if (second < kNeighbourPause) start += kNeighbourPause - second;
  }
  std::uint64_t not_before = start;
  while (done < sends && !stopped()) {
    const std::uint64_t time = monotonic_now();
    // A send is due with its first packet.
    const std::uint64_t due_packets = time < start ? 0 : schedule_.due_by(time - start);
    const std::uint64_t due = std::min(sends, (due_packets + per_send - 1) / per_send);
    if (due <= done || time < not_before) {
      wait_until(std::max(start + schedule_.due_at(done * per_send), not_before));
      continue;
    }
    const auto batch = static_cast<std::size_t>(std::min<std::uint64_t>(slots_, due - done));
    if (Status sent_batch = send_batch(done, batch); !sent_batch) {
      if (stopped()) break;
      return sent_batch.error();
    }
    done += batch;
    end = monotonic_now();
    while (digest_ && digest_->too_many_pending()) digest_->take_one();
    // Having fallen behind (the machine was busy) it catches up at twice the rate, not in one burst
    // that overruns every queue.
    not_before = time + schedule_.due_at(batch * per_send) / 2;
  }
  SendReport report{sent.get(), bytes.get(), end > start ? end - start : 0, retries.get(),
                    std::nullopt};
  if (digest_) report.digest = digest_->finish();
  return report;
}

// Uses the time for the digest as far as it lasts, and sleeps for the rest.
void Sender::wait_until(std::uint64_t monotonic_ns) {
  std::uint64_t time = monotonic_now();
  const std::uint64_t wake = std::min(monotonic_ns, time + kLongestSleep);
  while (digest_ && digest_->pending() > 0 &&
         time + digest_->nanoseconds_per_packet() + kWakeReserve < wake) {
    digest_->take_one();
    time = monotonic_now();
  }
  sleep_until(wake);
}

std::uint64_t Sender::packets_of(std::uint64_t send) const {
  return std::min<std::uint64_t>(options_.segments, count_ - send * options_.segments);
}

std::size_t Sender::packets_in(std::size_t slot) const {
  const std::size_t headers = kFrameHeaderBytes - transmitter_.first_byte();
  return (vectors_[slot].iov_len - headers) / options_.size;
}

// Send k belongs to flow k modulo flows. Those of one socket follow one another in the slots, for
// one system call.
Status Sender::send_batch(std::uint64_t first, std::size_t count) {
  const std::size_t sockets = transmitter_.sockets();
  for (std::size_t offset = 0, slot = 0; offset < std::min(sockets, count); ++offset) {
    const std::size_t first_slot = slot;
    const std::uint64_t time = realtime_now();
    for (std::size_t i = offset; i < count; i += sockets) build(slot++, first + i, time);
    const int socket = transmitter_.socket(static_cast<std::size_t>((first + offset) % sockets));
    const auto done = send_all(socket, first_slot, slot - first_slot);
    if (!done) return done.error();
  }
  return {};
}

void Sender::build(std::size_t slot, std::uint64_t send, std::uint64_t time) {
  const auto bytes_of_frame = frame(slot);
  const auto payloads = bytes_of_frame.subspan(kFrameHeaderBytes);
  const auto flow = static_cast<std::uint32_t>(send % options_.flows);
  const std::uint64_t first = send / options_.flows * options_.segments;
  const auto packets = static_cast<std::size_t>(packets_of(send));
  flows_[slot] = flow;
  // A send that is not full, the last one, leaves the rest of its slot without patterns.
  const bool whole = packets == options_.segments;
  const auto write = options_.fill_once && filled_[slot] && whole ? write_header : write_payload;
  for (std::size_t i = 0; i < packets; ++i) {
    write(payloads.subspan(i * options_.size, options_.size),
          {options_.run, time, flow, options_.size, first + i});
  }
  filled_[slot] = filled_[slot] || whole;
  // Only the last one may be shorter.
  vectors_[slot].iov_len = kFrameHeaderBytes - transmitter_.first_byte() + packets * options_.size;
  if (transmitter_.kind() == Transmitter::Kind::udp) return;
  write_headers(bytes_of_frame, transmitter_.addresses(flow), static_cast<std::uint16_t>(send));
  finish_udp_checksum(bytes_of_frame);
}

void Sender::account_sent(std::size_t slot) {
  const std::size_t packets = packets_in(slot);
  if (digest_) digest_->add_sent(flows_[slot], packets);
  sent.add(packets);
  bytes.add(packets * options_.size);
}

// Sends these slots, however often it takes.
Result<std::size_t> Sender::send_all(int socket, std::size_t first, std::size_t count) {
  std::size_t done = 0;
  std::uint64_t stuck_since = 0;
  while (done < count) {
    const int now_sent =
        ::sendmmsg(socket, &messages_[first + done], static_cast<unsigned>(count - done), 0);
    if (now_sent > 0) {
      for (int i = 0; i < now_sent; ++i) account_sent(first + done + static_cast<std::size_t>(i));
      done += static_cast<std::size_t>(now_sent);
      stuck_since = 0;
      continue;
    }
    const Error error = Error::from_errno("send to " + text(options_.destination));
    if (error.code == EINTR) continue;
    const bool full = error.code == ENOBUFS || error.code == EAGAIN;
    // The port at a unicast address may not be open yet; what was said about an earlier packet is
    // not this one's failure.
    const bool about_earlier = error.code == ECONNREFUSED;
    if (!full && !about_earlier) return error;
    drain_errors(socket);
    const std::uint64_t time = monotonic_now();
    if (stuck_since == 0) stuck_since = time;
    if (stopped() || time - stuck_since > kRetryLimit) return error;
    if (full) {
      retries.add();
      sleep_until(time + kRetryPause);
    }
  }
  return done;
}

}  // namespace mcfleet::probe
