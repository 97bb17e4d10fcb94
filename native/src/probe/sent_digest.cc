#include "probe/sent_digest.h"

#include <algorithm>

namespace mcfleet::probe {

namespace {

// 3 s with SHA extensions (1.5 GB/s).
constexpr std::uint64_t kMostPendingBytes = std::uint64_t{4} << 30;
// A short payload costs as much as one of so many bytes.
constexpr std::uint32_t kLeastBytes = 512;

}  // namespace

SentDigest::SentDigest(std::uint32_t flows, std::uint32_t size)
    : flows_(flows),
      payload_(size),
      most_pending_(kMostPendingBytes / std::max(size, kLeastBytes)),
      // With some reserve: without SHA extensions it is twice that.
      nanoseconds_per_packet_(2 * std::uint64_t{std::max(size, kLeastBytes)}) {}

void SentDigest::take_one() {
  while (flows_[next_flow_].digested == flows_[next_flow_].sent) {
    next_flow_ = (next_flow_ + 1) % flows_.size();
  }
  FlowState& flow = flows_[next_flow_];
  write_payload(payload_,
                {.flow = static_cast<std::uint32_t>(next_flow_), .sequence = flow.digested});
  digest_.add(payload_);
  ++flow.digested;
  --pending_;
}

std::string SentDigest::finish() {
  while (pending_ > 0) take_one();
  return digest_.hex();
}

}  // namespace mcfleet::probe
