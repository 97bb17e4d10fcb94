#pragma once

#include <atomic>
#include <memory>
#include <optional>

#include "base/result.h"
#include "probe/account.h"
#include "probe/packet_source.h"
#include "probe/receive_options.h"

namespace mcfleet::probe {

// Receives and judges a stream. `run` works on the thread that calls it; `stop`, the counters and
// the sums of the account may be used from any other.
class Receiver final {
 public:
  // Listens when it returns: what arrives from now on is counted.
  [[nodiscard]] static Result<std::unique_ptr<Receiver>> open(const ReceiveOptions& options);

  // Until one of the ends of ReceiveOptions, or until it is stopped; then its socket is closed.
  // Once only.
  [[nodiscard]] Status run();
  void stop() { stopping_.store(true, std::memory_order_relaxed); }

  [[nodiscard]] const Account& account() const { return account_; }
  // Not arrived: of `count`, and of the numbers between each flow's first and last.
  [[nodiscard]] std::uint64_t lost() const;

  Counter drops;               // by the kernel, because this receiver was too slow
  Counter active_nanoseconds;  // from the first packet to the last

 private:
  Receiver(const ReceiveOptions& options, std::unique_ptr<PacketSource> source)
      : options_(options), source_(std::move(source)), account_(options.digest) {}
  [[nodiscard]] Status receive_until_end();
  [[nodiscard]] bool finished(std::uint64_t now) const;
  [[nodiscard]] Result<bool> receive_what_is_there();

  ReceiveOptions options_;
  std::unique_ptr<PacketSource> source_;
  Account account_;
  std::uint64_t started_ = 0;
  std::optional<std::uint64_t> first_packet_;
  std::uint64_t last_packet_ = 0;
  std::optional<std::uint64_t> complete_;
  std::atomic<bool> stopping_{false};
};

}  // namespace mcfleet::probe
