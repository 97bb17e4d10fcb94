#include "forwarder/exclusive_input.h"

#include <algorithm>
#include <cerrno>
#include <iterator>
#include <utility>

#include "forwarder/link_facts.h"

namespace mcfleet {
namespace {

// A relay that takes some sources or a VLAN leaves the rest of what comes to its address to others.
// And to an address of the host comes what the host itself has asked for, on ports that nobody
// knows.
bool takes_all(const Rule& rule) {
  return rule.vlan == 0 && rule.sources.empty() && rule.excluded_sources.empty() &&
         (rule.group.is_group() || rule.port != 0);
}

std::string explain(const Error& error) {
  switch (error.code) {
    case EPERM:
      return error.message() +
             "; it needs the capabilities CAP_BPF and CAP_NET_ADMIN, in the first user namespace";
    case EINVAL:
    case ENOSYS:
      return error.message() + "; it needs Linux 6.6 or newer, with CONFIG_BPF_SYSCALL";
    default:
      return error.message();
  }
}

}  // namespace

Claimable claimable(const std::vector<Rule>& rules) {
  Claimable result;
  for (const Rule& rule : rules) {
    if (takes_all(rule)) {
      result.claims.push_back({rule.group, rule.port});
    } else {
      result.shared_rules++;
    }
  }
  std::sort(result.claims.begin(), result.claims.end());
  result.claims.erase(std::unique(result.claims.begin(), result.claims.end()), result.claims.end());
  return result;
}

std::map<int, int> interfaces_above(const std::vector<int>& ifindexes,
                                    const std::multimap<int, int>& lower) {
  std::map<int, int> above;
  for (const int ifindex : ifindexes) {
    std::vector<int> down{ifindex};
    for (size_t i = 0; i < down.size(); i++) {
      const auto [first, last] = lower.equal_range(down[i]);
      for (auto below = first; below != last; below++) {
        if (std::find(down.begin(), down.end(), below->second) != down.end()) continue;
        down.push_back(below->second);
        above.try_emplace(below->second, ifindex);
      }
    }
  }
  return above;
}

void ExclusiveInput::refresh(bool receives, const std::string& needed) {
  const bool wanted = receives && needed.empty();
  // Also of an interface that is gone, and another one has its index.
  if (!wanted || (link_.has_value() && !link_->attached())) close(receives ? needed : "");
  if (wanted && !link_.has_value()) {
    open();
    if (link_.has_value()) put(wanted_.claims);
  }
  report();
}

void ExclusiveInput::open() {
  const Result<LinkFacts> facts = read_link(ifindex_);
  if (!facts.ok()) return close(facts.error().message());
  const int link_header = link_header_length(facts.value());
  if (link_header < 0) return close("");
  Result<ClaimedLink> link = ClaimedLink::open(ifindex_, static_cast<size_t>(link_header));
  if (!link.ok()) return close(explain(link.error()));
  link_ = std::move(link.value());
  reason_.clear();
}

void ExclusiveInput::close(std::string reason) {
  link_.reset();
  held_.clear();
  reason_ = std::move(reason);
}

void ExclusiveInput::give_up(const std::vector<Rule>& next) {
  wanted_ = claimable(next);
  if (link_.has_value()) {
    std::vector<Claim> stay;
    for (const Claim& claim : held_) {
      if (std::binary_search(wanted_.claims.begin(), wanted_.claims.end(), claim)) {
        stay.push_back(claim);
      } else if (Status status = link_->erase(claim); !status.ok()) {
        // A table that cannot be trusted goes as a whole.
        return close(status.error().message());
      }
    }
    held_ = std::move(stay);
  }
  report();
}

void ExclusiveInput::claim(const std::vector<Rule>& rules) {
  wanted_ = claimable(rules);
  if (link_.has_value()) put(wanted_.claims);
  report();
}

// What does not fit is shared with the host.
void ExclusiveInput::put(const std::vector<Claim>& wanted) {
  std::vector<Claim> added;
  for (const Claim& claim : wanted) {
    if (std::binary_search(held_.begin(), held_.end(), claim)) continue;
    if (held_.size() + added.size() == ClaimedLink::kMaxClaims) break;
    if (!link_->put(claim).ok()) break;
    added.push_back(claim);
  }
  std::vector<Claim> all;
  std::merge(held_.begin(), held_.end(), added.begin(), added.end(), std::back_inserter(all));
  held_ = std::move(all);
}

void ExclusiveInput::report() {
  const std::lock_guard lock(reported_);
  status_ = {link_.has_value(), reason_, held_.size(), wanted_.shared_rules,
             link_.has_value() ? wanted_.claims.size() - held_.size() : 0};
}

ExclusiveStatus ExclusiveInput::status() const {
  const std::lock_guard lock(reported_);
  return status_;
}

}  // namespace mcfleet
