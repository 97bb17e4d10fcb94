#include "forwarder/receiver.h"

#include <algorithm>

#include "ring/packet_socket.h"

namespace mcfleet {

Receiver::Receiver(int ifindex, size_t ring_bytes, RingMemory& memory, int attention,
                   Workers& workers)
    : ifindex_(ifindex),
      requested_bytes_(ring_bytes),
      memory_(memory),
      attention_(attention),
      workers_(workers),
      counters_(workers.size()),
      table_(std::make_unique<const RuleTable>(std::span<const Rule>())),
      filter_(drop_all_filter()) {}

bool Receiver::lost() const {
  return !inputs_.empty() && !is_bound_to(inputs_.front()->ring.fd(), ifindex_);
}

Status Receiver::refresh(Retired& retired) {
  const Result<LinkFacts> facts = read_link(ifindex_);
  if (!facts.ok() || lost()) close(retired);
  if (!facts.ok()) {
    state_ = facts.error().code == ENODEV ? LinkState::kMissing : LinkState::kNoSocket;
    return facts.error();
  }
  state_ = link_state(facts.value());
  if (state_ == LinkState::kUnsupported) {
    return Error{EAFNOSUPPORT, "receive on interface index " + std::to_string(ifindex_) +
                                   ", which is of type " + std::to_string(facts.value().type)};
  }
  if (inputs_.empty()) {
    if (Status status = open(facts.value()); !status.ok()) {
      state_ = LinkState::kNoSocket;
      return status;
    }
  }
  const bool asked = std::any_of(inputs_.begin(), inputs_.end(),
                                 [](const auto& input) { return input->asked_for_long_ring(); });
  if (asked && !long_rings_tried_) {
    long_rings_tried_ = true;
    // Without them, long frames go on through the sockets' queues.
    if (Status status = open_long_rings(); !status.ok()) {
      const std::lock_guard lock(ring_);
      long_ring_error_ = status.error().message();
    }
  }
  for (const auto& input : inputs_) {
    input->mtu.store(facts.value().mtu, std::memory_order_relaxed);
  }
  return {};
}

Status Receiver::open(const LinkFacts& facts) {
  link_header_ = static_cast<size_t>(link_header_length(facts));
  fanout_ = Fanout();
  long_rings_tried_ = false;
  Result<RingMemory::Share> share = memory_.take(
      workers_.size(), requested_bytes_, "receive on interface index " + std::to_string(ifindex_));
  if (!share.ok()) return share.error();
  std::vector<std::unique_ptr<Input>> inputs;
  for (size_t i = 0; i < workers_.size(); i++) {
    Result<RxRing> ring = RxRing::open(ifindex_, requested_bytes_, RxRing::kSlotBytes, fanout_);
    if (!ring.ok()) return ring.error();
    inputs.push_back(std::make_unique<Input>(std::move(ring.value()), link_header_,
                                             counters_.data()[i], attention_));
    inputs.back()->table.store(table_.get(), std::memory_order_release);
  }
  // A program runs for each frame, on its sender's time.
  if (inputs.size() > 1) {
    Status status = Fanout::steer(inputs.front()->ring.fd(), compile_steering(inputs.size(), 0));
    if (!status.ok()) return status;
  }
  {
    const std::lock_guard lock(ring_);
    inputs_ = std::move(inputs);
    share_ = std::move(share.value());
    long_ring_error_.clear();
  }
  for (size_t i = 0; i < inputs_.size(); i++) workers_.of(i).add(*inputs_[i]);
  filter_ = drop_all_filter();
  attach(targets_);
  return {};
}

// Until the group is told to steer long frames there, nothing goes to the new rings; from then on
// everything. A worker takes what is in both in the order of arrival.
Status Receiver::open_long_rings() {
  const size_t bytes = requested_bytes_ / kLongShare;
  Result<RingMemory::Share> share = memory_.take(
      inputs_.size(), bytes,
      "receive super-frames in rings of their own on interface index " + std::to_string(ifindex_));
  if (!share.ok()) return share.error();
  std::vector<RxRing> rings;
  for (size_t i = 0; i < inputs_.size(); i++) {
    Result<RxRing> ring = RxRing::open(ifindex_, bytes, RxRing::kLongSlotBytes, fanout_);
    if (!ring.ok()) return ring.error();
    if (Status status = ring.value().set_filter(filter_); !status.ok()) return status;
    rings.push_back(std::move(ring.value()));
  }
  {
    const std::lock_guard lock(ring_);
    for (size_t i = 0; i < inputs_.size(); i++) inputs_[i]->use_long_ring(std::move(rings[i]));
    long_share_ = std::move(share.value());
  }
  for (size_t i = 0; i < inputs_.size(); i++) workers_.of(i).refresh();
  return Fanout::steer(inputs_.front()->ring.fd(),
                       compile_steering(inputs_.size(), Input::kLongIpPacket));
}

std::vector<const RxRing*> Receiver::rings() const {
  std::vector<const RxRing*> rings;
  for (const auto& input : inputs_) {
    rings.push_back(&input->ring);
    if (input->long_ring() != nullptr) rings.push_back(input->long_ring());
  }
  return rings;
}

void Receiver::widen_filter(const std::vector<Rule>& next) {
  std::vector<FilterTarget> both = targets_;
  both.reserve(both.size() + next.size());
  for (const Rule& rule : next) both.push_back({rule.group, rule.port, rule.vlan});
  attach(both);
}

void Receiver::narrow_filter() {
  attach(targets_);
}

void Receiver::attach(const std::vector<FilterTarget>& targets) {
  if (inputs_.empty()) return;
  Filter filter = compile_filter(targets, link_header_);
  if (filter == filter_) return;
  filter_ = attach_best(targets, std::move(filter));
  kernel_filter_.store(filter_.kind(), std::memory_order_relaxed);
}

// Attaches `wanted`, or what comes nearest and passes no less. Returns what is attached.
Filter Receiver::attach_best(const std::vector<FilterTarget>& targets, Filter wanted) const {
  if (set_filter(wanted)) return wanted;
  // Old and new filter are charged together against net.core.optmem_max. The coarse one is small,
  // and makes room.
  Filter coarse = compile_coarse_filter(targets, link_header_);
  if (set_filter(coarse)) {
    if (wanted.exact && set_filter(wanted)) return wanted;
    // One of several may have the exact filter by now: that passes no less than it must.
    return coarse;
  }
  // Without a filter every packet comes here, and the rules select alone.
  // Nothing forbids to take one off.
  set_filter({});
  return {};
}

bool Receiver::set_filter(const Filter& filter) const {
  for (const RxRing* ring : rings()) {
    if (!ring->set_filter(filter).ok()) return false;
  }
  return true;
}

void Receiver::use_rules(const std::vector<Rule>& rules, Retired& retired) {
  auto table = std::make_unique<const RuleTable>(rules);
  targets_.clear();
  for (const Rule& rule : rules) targets_.push_back({rule.group, rule.port, rule.vlan});
  for (const auto& input : inputs_) input->table.store(table.get(), std::memory_order_release);
  retired.tables.push_back(std::exchange(table_, std::move(table)));
}

void Receiver::close(Retired& retired) {
  for (size_t i = 0; i < inputs_.size(); i++) workers_.of(i).remove(*inputs_[i]);
  const std::lock_guard lock(ring_);
  for (const RxRing* ring : rings()) kernel_drops_ += ring->take_kernel_drops();
  for (auto& input : inputs_) retired.inputs.push_back(std::move(input));
  inputs_.clear();
  // The rings themselves are freed when no worker reads them any more, which is soon.
  share_ = {};
  long_share_ = {};
}

uint64_t Receiver::kernel_drops() {
  const std::lock_guard lock(ring_);
  for (const RxRing* ring : rings()) kernel_drops_ += ring->take_kernel_drops();
  return kernel_drops_;
}

size_t Receiver::ring_bytes() const {
  const std::lock_guard lock(ring_);
  size_t bytes = 0;
  for (const auto& input : inputs_) bytes += input->ring.bytes();
  return bytes;
}

std::string Receiver::long_ring_error() const {
  const std::lock_guard lock(ring_);
  return long_ring_error_;
}

size_t Receiver::long_ring_bytes() const {
  const std::lock_guard lock(ring_);
  size_t bytes = 0;
  for (const auto& input : inputs_) {
    if (input->long_ring() != nullptr) bytes += input->long_ring()->bytes();
  }
  return bytes;
}

}  // namespace mcfleet
