// Which relays of a Forwarder count something new.
#include <functional>
#include <string_view>

#include "forwarder/forwarder.h"

namespace mcfleet {
namespace {

// FNV-1a, by words in place of bytes: every step can be undone, so that another word gives another
// result.
uint64_t mix(uint64_t sum, uint64_t word) {
  return (sum ^ word) * 0x100000001b3;
}

}  // namespace

std::vector<std::string> Forwarder::changes() {
  const std::lock_guard state(state_);
  std::vector<std::string> changed;
  for (const auto& [uid, entry] : relays_) {
    const uint64_t now = fingerprint_of(*entry);
    if (entry->seen == now) continue;
    entry->seen = now;
    changed.push_back(uid);
  }
  return changed;
}

// Of all that snapshot() tells of it and that changes while the entry stays. Counters only rise: if
// one does, so does the sum of all of them.
uint64_t Forwarder::fingerprint_of(const RelayEntry& entry) const {
  uint64_t sum = entry.counters->sum([](const RelayCounters& c) {
    return c.packets.get() + c.bytes.get() + c.drops.total() + c.latency.samples();
  });
  sum =
      mix(sum, entry.counters->sum([](const RelayCounters& c) { return c.last_packet_ns.get(); }));
  sum = mix(sum, entry.counters->sum([](const RelayCounters& c) { return c.latency.sum_ns(); }));
  sum = mix(sum, std::hash<std::string_view>()(warning_of(entry.compiled)));
  for (const OutputEntry& output : entry.outputs) {
    sum = mix(sum, output.counters->sum([](const OutputCounters& c) {
      return c.packets.get() + c.bytes.get() + c.drops.total();
    }));
    if (output.ports == nullptr) continue;
    sum = mix(sum, static_cast<uint64_t>(output.ports->state()));
    sum = mix(sum, static_cast<uint64_t>(output.ports->transmit()));
  }
  return sum;
}

}  // namespace mcfleet
