#include "probe/account.h"

#include <algorithm>

namespace mcfleet::probe {

Account::Account(bool with_digest) : with_digest_(with_digest) {}

void Account::take(std::span<const std::uint8_t> payload, const Arrived& arrived) {
  if (!arrived.checksums_right) {
    // A socket would never have seen it.
    corrupt.add();
    return;
  }
  do {
    const auto header = read_header(payload);
    if (!header) {
      (is_probe(payload) ? corrupt : foreign).add();
      return;
    }
    take_one(payload.first(header->size), *header, arrived);
    payload = payload.subspan(header->size);
  } while (!payload.empty());
}

void Account::take_one(std::span<const std::uint8_t> payload, const PayloadHeader& header,
                       const Arrived& arrived) {
  if (!pattern_intact(payload, header)) {
    corrupt.add();
    return;
  }
  Flow* const flow = find(header, arrived);
  if (flow == nullptr) {
    unaccounted.add();
    return;
  }
  const bool first = flow->received == 0;
  switch (flow->window.arrive(header.sequence)) {
    case SequenceWindow::Arrival::duplicate:
      ++flow->duplicates;
      duplicates.add();
      return;
    case SequenceWindow::Arrival::stale:
      ++flow->stale;
      stale.add();
      return;
    case SequenceWindow::Arrival::reordered:
      ++flow->reordered;
      reordered.add();
      break;
    case SequenceWindow::Arrival::in_order:
      break;
  }
  const std::uint64_t lost_before = first ? 0 : flow->lost();
  ++flow->received;
  flow->bytes += payload.size();
  flow->first_sequence = first ? header.sequence : std::min(flow->first_sequence, header.sequence);
  flow->last_sequence = first ? header.sequence : std::max(flow->last_sequence, header.sequence);
  gaps.set(gaps.get() - lost_before + flow->lost());
  received.add();
  bytes.add(payload.size());
  // Clocks of two hosts may disagree: what seems to arrive before it was sent took no time.
  latency.add(arrived.at > header.sent_at ? arrived.at - header.sent_at : 0);
  if (with_digest_) digest_.add(payload);
}

Flow* Account::find(const PayloadHeader& header, const Arrived& arrived) {
  if (last_ != nullptr && last_->run == header.run && last_->flow == header.flow) return last_;
  const auto key = std::make_pair(header.run, header.flow);
  const auto found = index_.find(key);
  if (found != index_.end()) return last_ = found->second;
  if (flows_.size() >= kMaxFlows) return nullptr;
  Flow& flow = flows_.emplace_back();
  flow.run = header.run;
  flow.flow = header.flow;
  flow.source = arrived.source;
  flow.source_port = arrived.source_port;
  flow.ttl = arrived.ttl;
  index_.emplace(key, &flow);
  return last_ = &flow;
}

std::optional<std::string> Account::digest() const {
  if (!with_digest_) return std::nullopt;
  return digest_.hex();
}

}  // namespace mcfleet::probe
