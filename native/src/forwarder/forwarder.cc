#include "forwarder/forwarder.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/unix_time.h"
#include "ring/packet_socket.h"

namespace mcfleet {

Result<std::unique_ptr<Forwarder>> Forwarder::start(const ForwarderOptions& options) {
  // Told now rather than with the first relay.
  const Result<UniqueFd> probe = open_frame_sender(0);
  if (!probe.ok() && probe.error().code == EPERM) return probe.error();
  UniqueFd attention(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!attention.valid()) return Error::from_errno("open an event descriptor");
  Result<std::unique_ptr<Workers>> workers = Workers::start(options);
  if (!workers.ok()) return workers.error();
  const int attention_fd = attention.get();
  std::unique_ptr<Forwarder> forwarder(
      new Forwarder(options, std::move(attention), std::move(workers.value())));
  auto watch = LinkWatch::start(
      attention_fd, [raw = forwarder.get()] { raw->refresh_links(); },
      [raw = forwarder.get()] { return raw->retry_endpoints(); });
  if (!watch.ok()) return watch.error();
  forwarder->start_watch(std::move(watch.value()));
  return forwarder;
}

Forwarder::Forwarder(const ForwarderOptions& options, UniqueFd attention,
                     std::unique_ptr<Workers> workers)
    : options_(options), attention_(std::move(attention)), workers_(std::move(workers)) {}

Forwarder::~Forwarder() {
  // Threads first: they use all the rest.
  watch_.reset();
  neighbours_.reset();
  // The host gets everything again before relays stop to take it.
  for (auto& [ifindex, input] : inputs_) input.exclusive.reset();
  workers_.reset();
}

std::vector<RelayRefusal> Forwarder::apply(const RelayChange& change) {
  const std::lock_guard control(control_);
  // They may have changed just before.
  queues_due_ = true;
  std::vector<RelayRefusal> refusals;
  const Changes changes = plan(change, refusals);
  // Before anything is sent there.
  if (losses_due_) read_losses();
  // Also after a refusal, which may leave an input without relays.
  if (!changes.empty() || !refusals.empty()) carry_out(changes);
  return refusals;
}

// Decides what becomes of each relay, and opens and joins what the new ones need.
Forwarder::Changes Forwarder::plan(const RelayChange& change, std::vector<RelayRefusal>& refusals) {
  Changes changes;
  std::set<std::string> wanted;
  for (const RelayProgram& program : change.upserts) {
    if (!wanted.insert(program.uid).second) {
      refusals.push_back(
          {program.uid, EINVAL, "DuplicateUid", "the change names this relay twice"});
      continue;
    }
    const auto present = relays_.find(program.uid);
    if (present != relays_.end() && present->second->program == program) continue;
    auto compiled = compile_relay(program);
    if (auto* refusal = std::get_if<RelayRefusal>(&compiled)) {
      refusals.push_back(std::move(*refusal));
      continue;
    }
    if (Status status = prepare(program, std::move(std::get<CompiledRelay>(compiled)), changes);
        !status.ok()) {
      refusals.push_back(refuse(program.uid, status.error()));
    }
  }
  const auto remove = [&](const std::string& uid) {
    if (!wanted.contains(uid) && relays_.contains(uid)) changes[uid] = nullptr;
  };
  for (const std::string& uid : change.removed_uids) remove(uid);
  if (change.replace_all) {
    for (const auto& [uid, entry] : relays_) remove(uid);
  }
  return changes;
}

Status Forwarder::prepare(const RelayProgram& program, CompiledRelay compiled, Changes& changes) {
  if (compiled.input_ifindex != kNoInterface) {
    if (Status status = open_input(compiled.input_ifindex); !status.ok()) return status;
  }
  if (Status status = join_all(compiled.memberships()); !status.ok()) return status;
  if (const auto endpoint = compiled.endpoint()) {
    // Has the watch look again and again.
    if (!endpoints_.hold(*endpoint)) eventfd_write(attention_.get(), 1);
  }

  const auto present = relays_.find(program.uid);
  const RelayEntry* old = present != relays_.end() ? present->second.get() : nullptr;
  auto entry = std::make_shared<RelayEntry>();
  entry->program = program;
  const uint64_t now = unix_nano();
  entry->counters =
      old != nullptr ? old->counters : std::make_shared<PerWorker<RelayCounters>>(workers_->size());
  entry->counted_since = old != nullptr ? old->counted_since : now;
  entry->limiter = limiter_for(program, old);
  for (const CompiledOutput& output : compiled.outputs) {
    auto ports = output.ifindex == kNoInterface
                     ? nullptr
                     : ports_for(output.ifindex, output.kind, output.destination);
    OutputEntry next{output.key,          nullptr,        now,
                     std::move(ports),    output.rewrite, output.ipv6,
                     output.drop_oversize};
    if (old != nullptr) {
      const auto same =
          std::find_if(old->outputs.begin(), old->outputs.end(),
                       [&](const OutputEntry& candidate) { return candidate.key == output.key; });
      if (same != old->outputs.end()) {
        next.counters = same->counters;
        next.counted_since = same->counted_since;
      }
    }
    if (next.counters == nullptr) {
      next.counters = std::make_shared<PerWorker<OutputCounters>>(workers_->size());
    }
    if (next.ports != nullptr) next.ports->keep(next.counters);
    entry->outputs.push_back(std::move(next));
  }
  entry->compiled = std::move(compiled);
  changes[program.uid] = std::move(entry);
  return {};
}

// The present limiter where the limit stays, so that a change of something else gives no new burst.
std::shared_ptr<RateLimiter> Forwarder::limiter_for(const RelayProgram& program,
                                                    const RelayEntry* old) {
  if (!program.rate_limit.limits()) return nullptr;
  if (old != nullptr && old->program.rate_limit == program.rate_limit) return old->limiter;
  return std::make_shared<RateLimiter>(program.rate_limit);
}

Status Forwarder::open_input(int ifindex) {
  if (inputs_.contains(ifindex)) return {};
  auto receiver =
      std::make_unique<Receiver>(ifindex, options_.ring_bytes, attention_.get(), *workers_);
  Retired retired;
  if (Status status = receiver->refresh(retired); !status.ok()) return status;
  std::unique_ptr<ExclusiveInput> exclusive;
  if (options_.exclusive_input) {
    exclusive = std::make_unique<ExclusiveInput>(ifindex);
    exclusive->refresh(true);
  }
  const std::lock_guard state(state_);
  inputs_[ifindex] = {std::move(receiver), std::move(exclusive), {}, {}};
  return {};
}

Status Forwarder::join_all(const std::vector<Membership>& memberships) {
  for (size_t i = 0; i < memberships.size(); i++) {
    Status status = memberships_.join(memberships[i]);
    if (status.ok()) continue;
    for (size_t j = 0; j < i; j++) memberships_.leave(memberships[j]);
    return status;
  }
  return {};
}

// Makes the changes take effect without a gap: filters first let pass what old and new rules want,
// then the tables are swapped, and when the worker has seen that, filters are narrowed and what is
// no longer needed is given up.
void Forwarder::carry_out(const Changes& changes) {
  std::set<int> touched;
  std::vector<Entry> replaced;
  for (const auto& [uid, entry] : changes) {
    const auto present = relays_.find(uid);
    if (present != relays_.end()) {
      replaced.push_back(present->second);
      touched.insert(present->second->compiled.input_ifindex);
    }
    if (entry != nullptr) touched.insert(entry->compiled.input_ifindex);
  }
  touched.erase(kNoInterface);
  {
    const std::lock_guard state(state_);
    for (const auto& [uid, entry] : changes) replace_entry(uid, entry);
  }
  Retired retired;
  for (const int ifindex : touched) {
    InputEntry& input = inputs_.at(ifindex);
    if (input.exclusive != nullptr) input.exclusive->give_up(input.rules.rules());
    input.receiver->widen_filter(input.rules.rules());
    input.receiver->use_rules(input.rules.rules(), retired);
  }
  workers_->quiesce();
  for (const int ifindex : touched) {
    InputEntry& input = inputs_.at(ifindex);
    input.receiver->narrow_filter();
    if (input.exclusive != nullptr) input.exclusive->claim(input.rules.rules());
  }
  for (const Entry& entry : replaced) {
    for (const Membership& membership : entry->compiled.memberships())
      memberships_.leave(membership);
    if (const auto endpoint = entry->compiled.endpoint()) endpoints_.release(*endpoint);
  }
  replaced.clear();
  drop_unused(retired);
}

void Forwarder::replace_entry(const std::string& uid, const Entry& entry) {
  const auto present = relays_.find(uid);
  if (present != relays_.end()) {
    const int before = present->second->compiled.input_ifindex;
    if (before != kNoInterface) {
      inputs_.at(before).relays.erase(uid);
      const bool stays = entry != nullptr && entry->compiled.input_ifindex == before;
      if (!stays) inputs_.at(before).rules.erase(uid);
    }
    relays_.erase(present);
  }
  if (entry == nullptr) return;
  relays_.emplace(uid, entry);
  const int input = entry->compiled.input_ifindex;
  if (input != kNoInterface) {
    inputs_.at(input).relays.emplace(uid, entry);
    inputs_.at(input).rules.put(uid, rule_of(*entry));
  }
}

Rule Forwarder::rule_of(const RelayEntry& entry) {
  Rule rule;
  rule.group = entry.compiled.group;
  rule.port = entry.compiled.port;
  rule.vlan = entry.compiled.vlan;
  rule.sources = entry.compiled.sources;
  rule.excluded_sources = entry.compiled.excluded_sources;
  rule.counters = entry.counters->data();
  rule.limiter = entry.limiter.get();
  rule.keep_duplicates = entry.program.keep_duplicates;
  rule.min_ttl = entry.program.min_ttl.value_or(0);
  for (const OutputEntry& output : entry.outputs) {
    rule.outputs.push_back(
        {output.rewrite, output.ports.get(), output.counters->data(), output.drop_oversize});
  }
  return rule;
}

// Closes inputs without relays and ports without outputs.
void Forwarder::drop_unused(Retired& retired) {
  std::vector<std::unique_ptr<Receiver>> receivers;
  // They claim nothing any more; to give them up waits for the kernel.
  std::vector<std::unique_ptr<ExclusiveInput>> exclusives;
  {
    const std::lock_guard state(state_);
    for (auto input = inputs_.begin(); input != inputs_.end();) {
      if (!input->second.relays.empty()) {
        input++;
        continue;
      }
      input->second.receiver->close(retired);
      receivers.push_back(std::move(input->second.receiver));
      exclusives.push_back(std::move(input->second.exclusive));
      input = inputs_.erase(input);
    }
  }
  // Those to unicast addresses first: they use the others.
  drop_unused_ports(EgressPort::Kind::kPackets);
  drop_unused_ports(EgressPort::Kind::kFrames);
  if (!receivers.empty()) workers_->quiesce();
}

void Forwarder::refresh_links() {
  const std::lock_guard control(control_);
  Retired retired;
  for (auto& [ifindex, input] : inputs_) {
    const bool missing = input.receiver->state() == LinkState::kMissing || input.receiver->lost();
    // What failed is told by the receiver's state.
    const bool receives = input.receiver->refresh(retired).ok();
    if (receives && missing) memberships_.rejoin(ifindex);
    if (input.exclusive == nullptr) continue;
    input.exclusive->refresh(receives);
    // It may have got hold of an interface that came after those that the rings are bound to.
    if (input.receiver->lost()) input.exclusive->refresh(false);
  }
  if (!ports_.empty()) read_queues();
  for (auto& [key, ports] : ports_) {
    ports->refresh(queues_, retired.sockets);
    // After the ports to groups, which they use.
    if (key.kind == EgressPort::Kind::kPackets && neighbours_ != nullptr) {
      ports->refresh_unicast(policies_);
    }
  }
  workers_->quiesce();
}

bool Forwarder::retry_endpoints() {
  const std::lock_guard control(control_);
  return endpoints_.retry();
}

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

ForwarderStatus Forwarder::status() {
  const std::lock_guard state(state_);
  ForwarderStatus result;
  result.capabilities = {"engine.userspace.v4", "tx.sendmmsg"};
  if (kernel_speaks_ipv6()) result.capabilities.emplace_back("engine.userspace.v6");
  bool preferred = true;
  for (size_t i = 0; i < workers_->size(); i++) {
    const Worker& worker = workers_->of(i);
    preferred = preferred && worker.preferred();
    result.workers.push_back({worker.index(), worker.cpu(), worker.matched()});
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
