#pragma once

#include <sys/uio.h>

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "probe/account.h"
#include "probe/schedule.h"
#include "probe/send_options.h"
#include "probe/sent_digest.h"
#include "probe/transmitter.h"

namespace mcfleet::probe {

struct SendReport final {
  std::uint64_t sent = 0;
  std::uint64_t bytes = 0;  // of UDP payload
  // From the first packet's due time to the end of the last send.
  std::uint64_t duration_ns = 0;
  std::uint64_t retries = 0;  // sends that found a full queue; every packet was sent in the end
  std::optional<std::string> digest;
};

// Sends a paced stream: packet by packet, or `segments` packets of one flow by one send. `run`
// works on the thread that calls it; `stop` and the counters may be used from any other.
class Sender final {
 public:
  [[nodiscard]] static Result<std::unique_ptr<Sender>> open(const SendOptions& options);

  // Until all is sent or it is stopped. An error ends it; `sent` then says how far it came.
  [[nodiscard]] Result<SendReport> run();
  void stop() { stopping_.store(true, std::memory_order_relaxed); }

  [[nodiscard]] Transmitter::Kind mode() const { return transmitter_.kind(); }

  Counter sent;
  Counter bytes;
  Counter retries;

 private:
  // Few enough to be gentle, many enough that a system call per packet is not the limit.
  static constexpr std::size_t kBatch = 64;

  Sender(const SendOptions& options, Transmitter transmitter);
  [[nodiscard]] bool stopped() const { return stopping_.load(std::memory_order_relaxed); }
  // Headers and the payloads of a slot, one after another.
  [[nodiscard]] std::span<std::uint8_t> frame(std::size_t slot) {
    return {frames_.data() + slot * frame_bytes_, kFrameHeaderBytes + payload_bytes_};
  }
  [[nodiscard]] std::uint64_t packets_of(std::uint64_t send) const;
  [[nodiscard]] std::size_t packets_in(std::size_t slot) const;
  void account_sent(std::size_t slot);
  void wait_until(std::uint64_t monotonic_ns);
  [[nodiscard]] Status send_batch(std::uint64_t first, std::size_t count);
  void build(std::size_t slot, std::uint64_t send, std::uint64_t time);
  [[nodiscard]] Result<std::size_t> send_all(int socket, std::size_t first, std::size_t count);

  SendOptions options_;
  Transmitter transmitter_;
  Schedule schedule_;
  std::optional<SentDigest> digest_;
  std::uint64_t count_;  // of packets
  // Of them together about kBatch packets.
  std::size_t slots_;
  std::size_t payload_bytes_;
  std::size_t frame_bytes_;
  std::vector<std::uint8_t> frames_;
  std::array<iovec, kBatch> vectors_{};
  std::array<mmsghdr, kBatch> messages_{};
  std::array<std::uint32_t, kBatch> flows_{};  // of the slots
  std::array<bool, kBatch> filled_{};          // slots that hold patterns
  std::atomic<bool> stopping_{false};
};

}  // namespace mcfleet::probe
