#include "forwarder/receiver.h"

#include <algorithm>

namespace mcfleet {

Receiver::Receiver(int ifindex, size_t ring_bytes, Worker& worker)
    : ifindex_(ifindex),
      requested_bytes_(ring_bytes),
      worker_(worker),
      table_(std::make_unique<const RuleTable>(std::span<const Rule>())),
      filter_(drop_all_filter()) {}

Status Receiver::refresh(Retired& retired) {
  const Result<LinkFacts> facts = read_link(ifindex_);
  if (!facts.ok()) {
    // The ring is bound to the device that is gone, even if another one gets its index.
    close(retired);
    state_ = facts.error().code == ENODEV ? LinkState::kMissing : LinkState::kNoSocket;
    return facts.error();
  }
  state_ = link_state(facts.value());
  if (state_ == LinkState::kUnsupported) {
    return Error{EAFNOSUPPORT, "receive on interface index " + std::to_string(ifindex_) +
                                   ", which is of type " + std::to_string(facts.value().type)};
  }
  if (input_ == nullptr) {
    if (Status status = open(facts.value()); !status.ok()) {
      state_ = LinkState::kNoSocket;
      return status;
    }
  }
  input_->mtu.store(facts.value().mtu, std::memory_order_relaxed);
  return {};
}

Status Receiver::open(const LinkFacts& facts) {
  Result<RxRing> ring = RxRing::open(ifindex_, requested_bytes_);
  if (!ring.ok()) return ring.error();
  auto input = std::make_unique<Input>(std::move(ring.value()),
                                       static_cast<size_t>(link_header_length(facts)), counters_);
  input->table.store(table_.get(), std::memory_order_release);
  worker_.add(*input);
  {
    const std::lock_guard lock(ring_);
    input_ = std::move(input);
  }
  filter_ = drop_all_filter();
  attach(targets_);
  return {};
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
  if (input_ == nullptr) return;
  Filter filter = compile_filter(targets, input_->link_header);
  if (filter == filter_) return;
  filter_ = attach_best(targets, std::move(filter));
  exact_.store(filter_.exact, std::memory_order_relaxed);
}

// Attaches `wanted`, or what comes nearest and passes no less. Returns what is attached.
Filter Receiver::attach_best(const std::vector<FilterTarget>& targets, Filter wanted) const {
  const RxRing& ring = input_->ring;
  if (ring.set_filter(wanted).ok()) return wanted;
  // Old and new filter are charged together against net.core.optmem_max. The coarse one is small,
  // and makes room.
  Filter coarse = compile_coarse_filter(targets, input_->link_header);
  if (ring.set_filter(coarse).ok()) {
    if (wanted.exact && ring.set_filter(wanted).ok()) return wanted;
    return coarse;
  }
  // Without a filter every packet comes here, and the rules select alone.
  ring.remove_filter();
  return {};
}

void Receiver::use_rules(const std::vector<Rule>& rules, Retired& retired) {
  auto table = std::make_unique<const RuleTable>(rules);
  targets_.clear();
  for (const Rule& rule : rules) targets_.push_back({rule.group, rule.port, rule.vlan});
  if (input_ != nullptr) input_->table.store(table.get(), std::memory_order_release);
  retired.tables.push_back(std::exchange(table_, std::move(table)));
}

void Receiver::close(Retired& retired) {
  if (input_ == nullptr) return;
  worker_.remove(*input_);
  const std::lock_guard lock(ring_);
  kernel_drops_ += input_->ring.take_kernel_drops();
  retired.inputs.push_back(std::move(input_));
}

uint64_t Receiver::kernel_drops() {
  const std::lock_guard lock(ring_);
  if (input_ != nullptr) kernel_drops_ += input_->ring.take_kernel_drops();
  return kernel_drops_;
}

size_t Receiver::ring_bytes() const {
  const std::lock_guard lock(ring_);
  return input_ != nullptr ? input_->ring.bytes() : 0;
}

}  // namespace mcfleet
