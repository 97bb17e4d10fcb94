// What a Forwarder tells of itself.
#include <algorithm>
#include <map>
#include <set>

#include "base/unix_time.h"
#include "forwarder/forwarder.h"
#include "ring/packet_socket.h"

namespace mcfleet {

const char* Forwarder::warning_of(const CompiledRelay& relay) const {
  if (!relay.takes_unicast()) return "";
  const auto endpoint = relay.endpoint();
  switch (endpoint ? endpoints_.state(*endpoint) : Endpoints::State::kRefused) {
    case Endpoints::State::kHeld:
      return "";
    case Endpoints::State::kInUse:
      return "PortInUse";
    case Endpoints::State::kRefused:
      return "PortUnreachable";
  }
  return "";
}

Snapshot Forwarder::snapshot(const std::vector<std::string>* uids) {
  const std::lock_guard state(state_);
  Snapshot result;
  const auto add = [&](const std::string& uid, const RelayEntry& entry) {
    RelayCounts counts{uid,
                       entry.counters->sum([](const auto& c) { return c.packets.get(); }),
                       entry.counters->sum([](const auto& c) { return c.bytes.get(); }),
                       {},
                       count_drops(*entry.counters),
                       0,
                       count_buckets(*entry.counters),
                       entry.counters->sum([](const auto& c) { return c.latency.sum_ns(); }),
                       entry.counted_since,
                       warning_of(entry.compiled)};
    for (size_t i = 0; i < entry.counters->size(); i++) {
      counts.last_packet_unix_nano =
          std::max(counts.last_packet_unix_nano, entry.counters->data()[i].last_packet_ns.get());
    }
    for (const OutputEntry& output : entry.outputs) {
      counts.outputs.push_back(
          {output.key, output.counters->sum([](const auto& c) { return c.packets.get(); }),
           output.counters->sum([](const auto& c) { return c.bytes.get(); }),
           count_drops(*output.counters),
           output.ports != nullptr ? output.ports->state() : LinkState::kMissing,
           output.counted_since, std::nullopt});
      if (output.ports != nullptr) counts.outputs.back().transmit = output.ports->transmit();
    }
    result.relays.push_back(std::move(counts));
  };
  if (uids == nullptr) {
    for (const auto& [uid, entry] : relays_) add(uid, *entry);
  } else {
    for (const std::string& uid : *uids) {
      if (const auto found = relays_.find(uid); found != relays_.end()) add(uid, *found->second);
    }
  }
  for (auto& [ifindex, input] : inputs_) {
    const PerWorker<InputCounters>& counters = input.receiver->counters();
    result.inputs.push_back({ifindex, counters.sum([](const auto& c) { return c.packets.get(); }),
                             input.receiver->kernel_drops(),
                             counters.sum([](const auto& c) { return c.unmatched.get(); }),
                             count_drops(counters), input.receiver->state()});
  }
  return result;
}

UdpSocketStatus Forwarder::udp_sockets_of(size_t worker) const {
  const SegmentCounters& counters = segment_counters_->data()[worker];
  UdpSocketStatus status{0, counters.refused.get(), counters.failed.get(), counters.packets.get()};
  for (const auto& [key, ports] : ports_) {
    if (key.kind == EgressPort::Kind::kPackets) status.open += ports->of(worker).segments().open();
  }
  return status;
}

ForwarderStatus Forwarder::status() {
  const std::lock_guard state(state_);
  ForwarderStatus result;
  result.capabilities = {"engine.userspace.v4", "tx.sendmmsg"};
  if (kernel_speaks_ipv6()) result.capabilities.emplace_back("engine.userspace.v6");
  bool preferred = true;
  for (size_t i = 0; i < workers_->size(); i++) {
    const Worker& worker = workers_->of(i);
    preferred = preferred && worker.preferred();
    result.workers.push_back(
        {worker.index(), worker.cpu(), worker.matched(), udp_sockets_of(worker.index())});
  }
  if (preferred) result.capabilities.emplace_back("sched.preferred");
  if (kernel_takes_super_frames()) result.capabilities.emplace_back("tx.gso");
  if (uring_support() == UringSupport::kReady) result.capabilities.emplace_back("tx.io_uring");
  for (const auto& [ifindex, input] : inputs_) {
    const Receiver& receiver = *input.receiver;
    std::set<Membership> memberships;
    for (const auto& [uid, entry] : input.relays) {
      for (const Membership& membership : entry->compiled.memberships()) {
        memberships.insert(membership);
      }
    }
    result.inputs.push_back(
        {ifindex, receiver.ring_bytes(), receiver.ring_bytes() / RxRing::kSlotBytes,
         receiver.filter(), memberships.size(), receiver.long_ring_bytes(),
         receiver.long_ring_bytes() / RxRing::kLongSlotBytes, receiver.long_ring_error(),
         input.exclusive != nullptr ? std::optional(input.exclusive->status()) : std::nullopt});
  }
  const auto note_shortfall = [&](Transmit transmit) {
    if (falls_short(options_.transmit, transmit)) result.shortfall = transmit;
  };
  // Also before there is an output.
  note_shortfall(choose_transmit({.request = options_.transmit,
                                  .kernel_takes_super_frames = kernel_takes_super_frames(),
                                  .uring = uring_support()}));
  std::map<std::pair<int, Transmit>, size_t> ways;
  for (const auto& [uid, entry] : relays_) {
    for (const OutputEntry& output : entry->outputs) {
      if (output.ports == nullptr) continue;
      ways[{output.ports->ifindex(), output.ports->transmit()}]++;
    }
  }
  for (const auto& [way, outputs] : ways) {
    const auto& [ifindex, transmit] = way;
    result.outputs.push_back({ifindex, transmit, outputs, std::string(queues_.of(ifindex))});
    note_shortfall(transmit);
  }
  return result;
}

}  // namespace mcfleet
