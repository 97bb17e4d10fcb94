#pragma once

#include <chrono>
#include <compare>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/result.h"
#include "forwarder/compile_relay.h"
#include "forwarder/egress_ports.h"
#include "forwarder/endpoints.h"
#include "forwarder/exclusive_input.h"
#include "forwarder/forwarder_options.h"
#include "forwarder/interface_losses.h"
#include "forwarder/link_watch.h"
#include "forwarder/memberships.h"
#include "forwarder/neighbour_watch.h"
#include "forwarder/per_worker.h"
#include "forwarder/queue_safety.h"
#include "forwarder/receiver.h"
#include "forwarder/relay_program.h"
#include "forwarder/rule_set.h"
#include "forwarder/snapshot.h"
#include "forwarder/workers.h"

namespace mcfleet {

// The packet path of one host: relays, their inputs and outputs, and its workers.
//
// Threads: `control_` serialises apply() and interface changes, which may wait for the kernel.
// `state_` guards what snapshot() and status() read; it is held only for changes in memory.
// Workers take neither.
class Forwarder final {
 public:
  // EPERM: the process lacks CAP_NET_RAW.
  static Result<std::unique_ptr<Forwarder>> start(const ForwarderOptions& options);
  Forwarder(const Forwarder&) = delete;
  Forwarder& operator=(const Forwarder&) = delete;
  ~Forwarder();

  // Carries out a change; returns the relays that were refused. A refused relay that was forwarded
  // before goes on by its old program.
  std::vector<RelayRefusal> apply(const RelayChange& change);
  // Counters of these relays, or of all if null.
  [[nodiscard]] Snapshot snapshot(const std::vector<std::string>* uids);
  // Uids of the relays of which snapshot() may tell something else than at the last call of this:
  // of new ones too, not of those that are gone. For one caller.
  [[nodiscard]] std::vector<std::string> changes();
  [[nodiscard]] ForwarderStatus status();
  // What the interfaces of outputs lost by themselves. Waits for the kernel, and for a change under
  // way.
  [[nodiscard]] std::vector<InterfaceLoss> losses();

 private:
  struct OutputEntry {
    std::string key;
    std::shared_ptr<PerWorker<OutputCounters>> counters;
    // Since when they count, Unix time in nanoseconds.
    uint64_t counted_since = 0;
    // Null if there is no interface now.
    std::shared_ptr<EgressPorts> ports;
    // Points to `ipv6`, if that is set.
    Rewrite rewrite;
    std::shared_ptr<const Ipv6Addresses> ipv6;
    bool drop_oversize = false;
  };
  // One relay in force. Immutable but for `seen`; an update makes another one with the same
  // counters.
  struct RelayEntry {
    RelayProgram program;
    CompiledRelay compiled;
    std::shared_ptr<PerWorker<RelayCounters>> counters;
    uint64_t counted_since = 0;
    // Null: no limit.
    std::shared_ptr<RateLimiter> limiter;
    std::vector<OutputEntry> outputs;
    // What changes() saw of it, if it did. Guarded by `state_`.
    mutable std::optional<uint64_t> seen;
  };
  using Entry = std::shared_ptr<const RelayEntry>;
  // What becomes of some relays: another entry, or null to remove it.
  using Changes = std::unordered_map<std::string, Entry>;
  struct InputEntry {
    std::unique_ptr<Receiver> receiver;
    // Null: not asked for.
    std::unique_ptr<ExclusiveInput> exclusive;
    // By uid.
    std::unordered_map<std::string, Entry> relays;
    RuleSet rules;
  };
  // Each unicast destination has ports of its own: packets that wait for a neighbour's address are
  // charged to the socket (neigh_probe, arp_queue), and must not fill that of another destination.
  struct PortKey {
    int ifindex;
    EgressPort::Kind kind;
    // None for kFrames.
    IpAddress destination;
    auto operator<=>(const PortKey&) const = default;
  };

  Forwarder(const ForwarderOptions& options, UniqueFd attention, std::unique_ptr<Workers> workers);
  void start_watch(std::unique_ptr<LinkWatch> watch) { watch_ = std::move(watch); }

  Changes plan(const RelayChange& change, std::vector<RelayRefusal>& refusals);
  Status prepare(const RelayProgram& program, CompiledRelay compiled, Changes& changes);
  static std::shared_ptr<RateLimiter> limiter_for(const RelayProgram& program,
                                                  const RelayEntry* old);
  Status open_input(int ifindex);
  Status join_all(const std::vector<Membership>& memberships);
  std::shared_ptr<EgressPorts> ports_for(int ifindex, EgressPort::Kind kind,
                                         const IpAddress& destination);
  void read_losses();
  void read_queues();
  void watch_neighbours();
  void take_neighbours(std::span<const Neighbour> neighbours);
  void refresh_unicast(const HostPolicies& policies);
  // Opens the UDP sockets that workers ask for, and closes those that are not used.
  void refresh_segment_sockets();
  void carry_out(const Changes& changes);
  void replace_entry(const std::string& uid, const Entry& entry);
  static Rule rule_of(const RelayEntry& entry);
  void drop_unused(Retired& retired);
  void drop_unused_ports(EgressPort::Kind kind);
  void refresh_links();
  void refresh_exclusive();
  bool retry_endpoints();
  // Why the host may refuse packets that the relay takes; empty if it does not.
  const char* warning_of(const CompiledRelay& relay) const;
  uint64_t fingerprint_of(const RelayEntry& entry) const;
  UdpSocketStatus udp_sockets_of(size_t worker) const;

  const ForwarderOptions options_;
  std::mutex control_;
  std::mutex state_;
  // Workers and others write to it to have refresh_links() called.
  const UniqueFd attention_;
  std::unique_ptr<Workers> workers_;
  RingMemory ring_memory_;
  std::unordered_map<std::string, Entry> relays_;
  std::map<int, InputEntry> inputs_;
  std::map<PortKey, std::shared_ptr<EgressPorts>> ports_;
  const std::shared_ptr<PerWorker<SegmentCounters>> segment_counters_;
  // Of interfaces with ports, or that had some at the last reading.
  std::map<int, std::shared_ptr<PerWorker<RefusalCounters>>> refusals_;
  InterfaceLosses losses_;
  // Whether interfaces are in use that no reading had; and when to read next.
  bool losses_due_ = false;
  std::chrono::steady_clock::time_point next_losses_{};
  Memberships memberships_;
  Endpoints endpoints_;
  std::unique_ptr<LinkWatch> watch_;
  std::unique_ptr<NeighbourWatch> neighbours_;
  HostPolicies policies_;
  UnsafeQueues queues_;
  // Whether they are to be read before the next port is made: once in each change.
  bool queues_due_ = true;
};

}  // namespace mcfleet
