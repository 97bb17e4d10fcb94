#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/counters.h"
#include "forwarder/exclusive_input.h"
#include "forwarder/link_facts.h"
#include "forwarder/per_worker.h"
#include "forwarder/transmit.h"
#include "ring/filter.h"

namespace mcfleet {

// What the binding gives out; native/forwarder.ts documents the fields.

struct DropCount {
  DropReason reason;
  uint64_t packets;
};

struct OutputCounts {
  std::string key;
  uint64_t tx_packets = 0;
  uint64_t tx_bytes = 0;
  std::vector<DropCount> drops;
  LinkState state = LinkState::kUp;
  uint64_t start_unix_nano = 0;
  // Unset if there is no interface.
  std::optional<Transmit> transmit;
};

struct RelayCounts {
  std::string uid;
  uint64_t rx_packets = 0;
  uint64_t rx_bytes = 0;
  std::vector<OutputCounts> outputs;
  std::vector<DropCount> drops;
  uint64_t last_packet_unix_nano = 0;
  // LatencyCounters, without empty buckets at the end.
  std::vector<uint64_t> latency_buckets;
  uint64_t latency_sum_nano = 0;
  uint64_t start_unix_nano = 0;
  // Static text; empty if nothing is odd.
  const char* warning = "";
};

struct InputCounts {
  int ifindex = 0;
  uint64_t rx_packets = 0;
  uint64_t kernel_drops = 0;
  uint64_t unmatched = 0;
  std::vector<DropCount> drops;
  LinkState state = LinkState::kUp;
};

struct Snapshot {
  std::vector<RelayCounts> relays;
  std::vector<InputCounts> inputs;
};

struct InputStatus {
  int ifindex = 0;
  uint64_t ring_bytes = 0;
  uint64_t ring_slots = 0;
  KernelFilter filter = KernelFilter::kExact;
  uint64_t memberships = 0;
  // 0 if there are none.
  uint64_t long_ring_bytes = 0;
  uint64_t long_ring_slots = 0;
  std::string long_ring_error;
  // Not set: not asked for.
  std::optional<ExclusiveStatus> exclusive;
};

// The UDP sockets that a worker sends through.
struct UdpSocketStatus {
  size_t open = 0;
  // As SegmentCounters.
  uint64_t refused = 0;
  uint64_t failed = 0;
  uint64_t packets_without = 0;
};

struct WorkerStatus {
  size_t index = 0;
  std::optional<unsigned> cpu;
  uint64_t packets = 0;
  UdpSocketStatus udp_sockets;
};

struct OutputStatus {
  int ifindex = 0;
  Transmit transmit;
  // How many of relays.
  size_t outputs = 0;
  // The kind of queue discipline that super-frames avoid; empty if there is none.
  std::string queue;
};

struct ForwarderStatus {
  std::vector<std::string> capabilities;
  std::vector<InputStatus> inputs;
  std::vector<OutputStatus> outputs;
  std::vector<WorkerStatus> workers;
  // What takes the place of what is asked for, if that cannot be had.
  std::optional<Transmit> shortfall;
};

inline std::vector<uint64_t> count_buckets(const PerWorker<RelayCounters>& counters) {
  std::vector<uint64_t> buckets;
  for (size_t i = 0; i < LatencyCounters::kBuckets; i++) {
    const uint64_t count = counters.sum([&](const auto& own) { return own.latency.bucket(i); });
    if (count == 0) continue;
    buckets.resize(i + 1);
    buckets[i] = count;
  }
  return buckets;
}

// Of counters that have `drops`.
template <typename Counters>
std::vector<DropCount> count_drops(const PerWorker<Counters>& counters) {
  std::vector<DropCount> counts;
  for (size_t i = 0; i < kDropReasonCount; i++) {
    const auto reason = static_cast<DropReason>(i);
    const uint64_t packets = counters.sum([&](const auto& own) { return own.drops.get(reason); });
    if (packets > 0) counts.push_back({reason, packets});
  }
  return counts;
}

}  // namespace mcfleet
