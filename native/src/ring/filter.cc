#include "ring/filter.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <map>
#include <tuple>
#include <unordered_set>

#include "packet/ipv6_headers.h"
#include "packet/parse.h"
#include "ring/filter_code.h"

namespace mcfleet {
namespace {

constexpr uint8_t kUdp = 17;
constexpr uint8_t kIcmpv6 = 58;
constexpr uint8_t kHopByHop = 0;
constexpr uint8_t kRouting = 43;
constexpr uint8_t kFragment = 44;
constexpr uint8_t kDestinationOptions = 60;

constexpr size_t kIpv4Protocol = 9;
constexpr size_t kIpv4Destination = 16;
constexpr size_t kIpv6LastWord = kIpv6Destination + 12;

// A group with more ports than this is taken with all ports.
constexpr size_t kMaxPortsPerGroup = 64;
// More unicast addresses than this make the coarse filter pass all UDP.
constexpr size_t kMaxCoarseUnicast = 64;
// What one VLAN of the coarse filter takes at most.
constexpr size_t kMaxCoarseVlanCode = kMaxCoarseUnicast + 8;
// IPv6 addresses are searched by their last 32 bits, for each of the 96 bits before in turn. With
// more of these than this the filter is coarse.
constexpr size_t kMaxPrefixes = 32;

using Targets = std::vector<FilterTarget>;

// The targets of each VLAN.
std::map<uint16_t, Targets> by_vlan(const Targets& targets) {
  std::map<uint16_t, Targets> vlans;
  for (const FilterTarget& target : targets) vlans[target.vlan].push_back(target);
  return vlans;
}

uint32_t last_word(const IpAddress& address) {
  return static_cast<uint32_t>(address.low() & 0xffffffff);
}

// Leaves by the last word of addresses, which are equal in what comes before. False if a group's
// ports had to be widened to any.
bool make_leaves(Targets targets, std::vector<FilterLeaf>& leaves) {
  std::sort(targets.begin(), targets.end());
  targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
  bool exact = true;
  for (size_t i = 0; i < targets.size();) {
    FilterLeaf leaf{last_word(targets[i].address), {}};
    size_t end = i;
    while (end < targets.size() && targets[end].address == targets[i].address) end++;
    // Port 0, any, sorts first.
    const bool widened = targets[i].port != 0 && end - i > kMaxPortsPerGroup;
    if (targets[i].port != 0 && !widened) {
      for (size_t j = i; j < end; j++) leaf.ports.push_back(targets[j].port);
    }
    exact = exact && !widened;
    leaves.push_back(std::move(leaf));
    i = end;
  }
  return exact;
}

// Last words of unicast addresses, each once.
std::vector<uint32_t> unicast_words(const Targets& targets) {
  std::vector<uint32_t> words;
  for (const FilterTarget& target : targets) {
    if (!target.address.is_group()) words.push_back(last_word(target.address));
  }
  std::sort(words.begin(), words.end());
  words.erase(std::unique(words.begin(), words.end()), words.end());
  return words;
}

// Whether addresses have more last words than that.
bool has_more_words(const Targets& targets, size_t limit) {
  if (targets.size() <= limit) return false;
  std::unordered_set<uint32_t> words;
  for (const FilterTarget& target : targets) {
    if (words.insert(last_word(target.address)).second && words.size() > limit) return true;
  }
  return false;
}

// What the filter does with the packets of one family.
class Family {
 public:
  Family(FilterCode& code, size_t max_code) : code_(code), max_code_(max_code) {}
  virtual ~Family() = default;

  // False: it did not fit, or it passes more than the targets name.
  struct Outcome {
    bool fits;
    bool exact;
  };
  // This and write_coarse() end with verdicts.
  Outcome write_exact(const Targets& targets) {
    drop_foreign();
    code_.load_vlan();
    Outcome outcome{true, true};
    for (const auto& [vlan, own] : by_vlan(targets)) {
      // Each address takes two instructions or more: do not build what cannot fit.
      if (has_more_words(own, max_code_ / 2)) return {false, false};
      const std::vector<uint32_t> unicast = unicast_words(own);
      if (unicast.size() > kMaxCoarseUnicast) return {false, false};
      code_.when(vlan, [&, &own = own] {
        require_destination(unicast);
        pass_irregular();
        outcome = search(own);
      });
      if (!outcome.fits) return outcome;
      exact_ = exact_ && outcome.exact;
    }
    code_.ret(FilterCode::kDrop);
    return {true, exact_};
  }
  void write_coarse(const Targets& targets) {
    drop_foreign();
    code_.load_vlan();
    for (const auto& [vlan, own] : by_vlan(targets)) {
      const std::vector<uint32_t> unicast = unicast_words(own);
      code_.when(vlan, [&] {
        if (unicast.size() <= kMaxCoarseUnicast) require_destination(unicast);
        code_.ret(FilterCode::kAccept);
      });
      // Every other one then, rather than a filter that the kernel refuses.
      if (code_.size() + 2 > max_code_ - kMaxCoarseVlanCode) {
        code_.ret(FilterCode::kAccept);
        return;
      }
    }
    code_.ret(FilterCode::kDrop);
  }

 protected:
  // Drops what is no UDP for us, whatever the address.
  virtual void drop_foreign() = 0;
  // Drops what goes to an address that cannot be ours.
  virtual void require_destination(const std::vector<uint32_t>& unicast) = 0;
  // Passes what could not be searched: fragments are put together, the rest is counted.
  virtual void pass_irregular() = 0;
  virtual Outcome search(const Targets& targets) = 0;

  // Nor anything that goes to another station, or out.
  void drop_other_stations() {
    code_.load_ancillary(BPF_B, SKF_AD_PKTTYPE);
    code_.drop_if(BPF_JGE, PACKET_OTHERHOST);
    static_assert(PACKET_MULTICAST < PACKET_OTHERHOST && PACKET_OTHERHOST < PACKET_OUTGOING);
  }
  [[nodiscard]] bool may_fit(size_t leaves) const { return code_.size() + leaves * 2 <= max_code_; }

  FilterCode& code_;

 private:
  const size_t max_code_;
  bool exact_ = true;
};

class Ipv4Family final : public Family {
 public:
  using Family::Family;

 private:
  void drop_foreign() override {
    drop_other_stations();
    code_.load_byte(kIpv4Protocol);
    code_.drop_unless(BPF_JEQ, kUdp);
  }

  void require_destination(const std::vector<uint32_t>& unicast) override {
    code_.load_word(kIpv4Destination);
    code_.require_destination(0xe0000000, 0xf0000000, kIpv4Destination, unicast);
  }

  // Bad header length, fragment, too short for ports. Loads the header's length into X.
  void pass_irregular() override {
    code_.load_byte(0);
    code_.accept_unless(BPF_JGE, 0x45);
    code_.accept_if(BPF_JGE, 0x50);
    code_.load_half(6);
    code_.accept_if(BPF_JSET, 0x3fff);
    code_.load_ipv4_header_length();
    code_.accept_shorter(kUdpHeader, true);
  }

  Outcome search(const Targets& targets) override {
    std::vector<FilterLeaf> leaves;
    const bool exact = make_leaves(targets, leaves);
    if (!may_fit(leaves.size())) return {false, false};
    code_.load_word(kIpv4Destination);
    code_.search(leaves);
    return {true, exact};
  }
};

class Ipv6Family final : public Family {
 public:
  using Family::Family;

 private:
  void drop_foreign() override {
    drop_other_stations();
    code_.load_byte(kIpv6NextHeader);
    code_.unless(kUdp, [&] {
      code_.require_one_of({kHopByHop, kRouting, kFragment, kDestinationOptions});
      // What is behind extension headers is not looked for, but for ICMPv6: every host reports its
      // groups so (RFC 3810, section 5).
      code_.load_byte(kIpv6Header);
      code_.drop_if(BPF_JEQ, kIcmpv6);
    });
  }

  void require_destination(const std::vector<uint32_t>& unicast) override {
    code_.load_word(kIpv6Destination);
    code_.require_destination(0xff000000, 0, kIpv6LastWord, unicast);
  }

  void pass_irregular() override {
    code_.load_byte(0);
    code_.mask(0xf0);
    code_.accept_unless(BPF_JEQ, 0x60);
    code_.load_byte(kIpv6NextHeader);
    code_.accept_unless(BPF_JEQ, kUdp);
    // What ends before its destination does is dropped by the load.
    code_.load_word(kIpv6LastWord);
    code_.accept_shorter(kIpv6Header + kUdpHeader, false);
  }

  Outcome search(const Targets& targets) override {
    using Prefix = std::array<uint32_t, 3>;
    std::map<Prefix, Targets> prefixes;
    for (const FilterTarget& target : targets) {
      const IpAddress& address = target.address;
      prefixes[{static_cast<uint32_t>(address.high() >> 32),
                static_cast<uint32_t>(address.high() & 0xffffffff),
                static_cast<uint32_t>(address.low() >> 32)}]
          .push_back(target);
    }
    if (prefixes.size() > kMaxPrefixes) return {false, false};
    code_.set_header_length(kIpv6Header);
    bool exact = true;
    for (const auto& [prefix, own] : prefixes) {
      std::vector<FilterLeaf> leaves;
      exact = make_leaves(own, leaves) && exact;
      if (!may_fit(leaves.size())) return {false, false};
      std::array<size_t, std::tuple_size_v<Prefix>> hops{};
      for (size_t i = 0; i < hops.size(); i++) {
        code_.load_word(kIpv6Destination + 4 * i);
        hops[i] = code_.hop_unless(prefix[i]);
      }
      code_.load_word(kIpv6LastWord);
      code_.search(leaves);
      for (const size_t hop : hops) code_.land(hop);
    }
    code_.ret(FilterCode::kDrop);
    return {true, exact};
  }
};

// Up to how many instructions in all each family may write.
struct Room {
  size_t ipv4;
  size_t ipv6;
};

// Calls `write(Family&, targets)` for each family that is wanted; false ends that, and is returned.
template <typename Write>
bool write_families(FilterCode& code, const Targets& targets, const Room& room, Write&& write) {
  Targets ipv4;
  Targets ipv6;
  for (const FilterTarget& target : targets) {
    (target.address.is_ipv4() ? ipv4 : ipv6).push_back(target);
  }
  bool all = true;
  code.load_ancillary(BPF_H, SKF_AD_PROTOCOL);
  if (!ipv4.empty()) {
    Ipv4Family family(code, room.ipv4);
    code.when(ETH_P_IP, [&] { all = write(family, ipv4); });
  }
  if (all && !ipv6.empty()) {
    Ipv6Family family(code, room.ipv6);
    code.when(ETH_P_IPV6, [&] { all = write(family, ipv6); });
  }
  code.ret(FilterCode::kDrop);
  return all;
}

}  // namespace

bool Filter::operator==(const Filter& other) const {
  return exact == other.exact && code.size() == other.code.size() &&
         (code.empty() ||
          std::memcmp(code.data(), other.code.data(), code.size() * sizeof(sock_filter)) == 0);
}

Filter compile_coarse_filter(const std::vector<FilterTarget>& targets, size_t link_header) {
  FilterCode code(link_header);
  // The first family leaves room for the second.
  write_families(code, targets, {kMaxFilterCode / 2, kMaxFilterCode - 1},
                 [](Family& family, const Targets& own) {
                   family.write_coarse(own);
                   return true;
                 });
  return {code.take(), false};
}

Filter compile_filter(const std::vector<FilterTarget>& targets, size_t link_header,
                      size_t max_code) {
  if (targets.empty()) return drop_all_filter();
  FilterCode code(link_header);
  bool exact = true;
  const bool fits =
      write_families(code, targets, {max_code, max_code}, [&](Family& family, const Targets& own) {
        const Family::Outcome outcome = family.write_exact(own);
        exact = exact && outcome.exact;
        return outcome.fits;
      });
  if (!fits || code.size() > max_code) return compile_coarse_filter(targets, link_header);
  return {code.take(), exact};
}

Filter drop_all_filter() {
  FilterCode code(0);
  code.ret(FilterCode::kDrop);
  return {code.take(), true};
}

}  // namespace mcfleet
