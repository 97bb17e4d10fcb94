#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "probe/digest.h"

namespace mcfleet::probe {

// The digest of what a sender has sent. A payload's stable part follows from its flow, size and
// number, so it can be made again when there is time: hashing while packets are due would cost a
// sender of 150,000 packets per second a seventh of its core. What became of the bytes on their
// way, from the sender's buffer on, is what the receiver's digest and its look at every byte tell.
class SentDigest final {
 public:
  // `size` bytes in every payload.
  SentDigest(std::uint32_t flows, std::uint32_t size);

  // The next `packets` of this flow are sent. Those of a flow are sent in the order of their
  // numbers, from 0.
  void add_sent(std::uint32_t flow, std::uint64_t packets) {
    flows_[flow].sent += packets;
    pending_ += packets;
  }

  // Sent packets that are not in the digest yet.
  [[nodiscard]] std::uint64_t pending() const { return pending_; }
  // More than that would keep the sender's report waiting for more than some seconds: the sender
  // then takes time from sending.
  [[nodiscard]] bool too_many_pending() const { return pending_ > most_pending_; }
  // About what `take_one` needs.
  [[nodiscard]] std::uint64_t nanoseconds_per_packet() const { return nanoseconds_per_packet_; }

  // Adds one pending packet, of which there must be one.
  void take_one();
  // Adds all that are pending. 64 hexadecimal digits.
  [[nodiscard]] std::string finish();

 private:
  struct FlowState final {
    std::uint64_t sent = 0;
    std::uint64_t digested = 0;
  };

  PayloadDigest digest_;
  std::vector<FlowState> flows_;
  std::vector<std::uint8_t> payload_;
  std::size_t next_flow_ = 0;
  std::uint64_t pending_ = 0;
  std::uint64_t most_pending_;
  std::uint64_t nanoseconds_per_packet_;
};

}  // namespace mcfleet::probe
