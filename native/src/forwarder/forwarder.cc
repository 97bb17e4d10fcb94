#include "forwarder/forwarder.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <set>

#include "base/unix_time.h"
#include "netlink/lower_devices.h"
#include "ring/packet_socket.h"

namespace mcfleet {

Result<std::unique_ptr<Forwarder>> Forwarder::start(const ForwarderOptions& options) {
  // Told now rather than with the first relay.
  const RingMemory memory(options.ring_memory);
  if (Status fit = memory.holds_input(options.workers, options.ring_bytes); !fit.ok())
    return fit.error();
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
    : options_(options),
      attention_(std::move(attention)),
      workers_(std::move(workers)),
      ring_memory_(options.ring_memory),
      segment_counters_(std::make_shared<PerWorker<SegmentCounters>>(workers_->size())) {}

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
  auto receiver = std::make_unique<Receiver>(ifindex, options_.ring_bytes, ring_memory_,
                                             attention_.get(), *workers_);
  Retired retired;
  if (Status status = receiver->refresh(retired); !status.ok()) return status;
  std::unique_ptr<ExclusiveInput> exclusive;
  if (options_.exclusive_input) {
    exclusive = std::make_unique<ExclusiveInput>(ifindex);
  }
  {
    const std::lock_guard state(state_);
    inputs_[ifindex] = {std::move(receiver), std::move(exclusive), {}, {}};
  }
  refresh_exclusive();
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
  if (receivers.empty()) return;
  workers_->quiesce();
  refresh_exclusive();
}

// The host is left the packets of an input that it gives to another one, from which relays take
// them.
void Forwarder::refresh_exclusive() {
  if (!options_.exclusive_input) return;
  std::vector<int> ifindexes;
  for (const auto& [ifindex, input] : inputs_) ifindexes.push_back(ifindex);
  const auto lower = netlink::dump_lower_devices();
  std::map<int, int> above;
  if (lower.ok()) above = interfaces_above(ifindexes, lower.value());
  for (auto& [ifindex, input] : inputs_) {
    std::string needed = lower.ok() ? "" : lower.error().message();
    if (const auto found = above.find(ifindex); found != above.end()) {
      needed = "the host gives its packets to interface index " + std::to_string(found->second) +
               ", from which relays take some as well";
    }
    const bool receives = input.receiver->receives();
    input.exclusive->refresh(receives, needed);
    // It may have got hold of an interface that came after those that the rings are bound to.
    if (input.receiver->lost()) input.exclusive->refresh(false);
  }
}

void Forwarder::refresh_links() {
  const std::lock_guard control(control_);
  Retired retired;
  for (auto& [ifindex, input] : inputs_) {
    const bool missing = input.receiver->state() == LinkState::kMissing || input.receiver->lost();
    // What failed is told by the receiver's state.
    const bool receives = input.receiver->refresh(retired).ok();
    if (receives && missing) memberships_.rejoin(ifindex);
  }
  refresh_exclusive();
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

}  // namespace mcfleet
