#include "ring/filter.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <unordered_set>

#include "packet/parse.h"

namespace mcfleet {
namespace {

constexpr uint32_t kAccept = 0xffffffff;
constexpr uint32_t kDrop = 0;
// Jump distances of conditional jumps have 8 bits.
constexpr size_t kMaxJump = 255;
// A group with more ports than this is taken with all ports.
constexpr size_t kMaxPortsPerGroup = 64;
// More unicast addresses than this make the coarse filter pass all UDP.
constexpr size_t kMaxCoarseUnicast = 64;
// What one VLAN of the coarse filter takes at most.
constexpr size_t kMaxCoarseVlanCode = kMaxCoarseUnicast + 8;

sock_filter statement(uint32_t code, uint32_t k) {
  return BPF_STMT(static_cast<uint16_t>(code), k);
}
sock_filter jump(uint32_t code, uint32_t k, size_t jt, size_t jf) {
  return BPF_JUMP(static_cast<uint16_t>(code), k, static_cast<uint8_t>(jt),
                  static_cast<uint8_t>(jf));
}
uint32_t ancillary(int offset) {
  return static_cast<uint32_t>(SKF_AD_OFF + offset);
}

bool is_multicast(uint32_t address) {
  return address >> 28 == 0xe;
}

// One address and its ports; no ports: any.
struct Leaf {
  uint32_t address;
  std::vector<uint16_t> ports;

  [[nodiscard]] size_t size() const { return ports.empty() ? 1 : 2 + ports.size(); }
};

class Compiler final {
 public:
  explicit Compiler(size_t link_header) : link_(static_cast<uint32_t>(link_header)) {}

  std::vector<sock_filter> take() { return std::move(code_); }
  [[nodiscard]] size_t size() const { return code_.size(); }

  void ret(uint32_t verdict) { code_.push_back(statement(BPF_RET | BPF_K, verdict)); }

  // Everything that is no UDP over IPv4 for us is dropped here.
  void prologue() {
    code_.push_back(statement(BPF_LD | BPF_H | BPF_ABS, ancillary(SKF_AD_PROTOCOL)));
    require(BPF_JEQ, ETH_P_IP);
    code_.push_back(statement(BPF_LD | BPF_B | BPF_ABS, ancillary(SKF_AD_PKTTYPE)));
    // Nor anything that goes to another station, or out.
    refuse(BPF_JGE, PACKET_OTHERHOST);
    static_assert(PACKET_MULTICAST < PACKET_OTHERHOST && PACKET_OTHERHOST < PACKET_OUTGOING);
    code_.push_back(statement(BPF_LD | BPF_B | BPF_ABS, link_ + 9));
    require(BPF_JEQ, 17);
  }

  // Leaves with the VLAN in A; 0 is none. Priority tags (VLAN 0) are no VLAN.
  void load_vlan() {
    code_.push_back(statement(BPF_LD | BPF_B | BPF_ABS, ancillary(SKF_AD_VLAN_TAG_PRESENT)));
    code_.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0));
    code_.push_back(statement(BPF_LD | BPF_H | BPF_ABS, ancillary(SKF_AD_VLAN_TAG)));
    code_.push_back(statement(BPF_ALU | BPF_AND | BPF_K, 0x0fff));
  }

  // `block` writes what is done with packets of this VLAN, and ends with verdicts; those of others
  // come out behind it, the VLAN still in A.
  template <typename Block>
  void in_vlan(uint16_t vlan, Block&& block) {
    code_.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, vlan, 1, 0));
    const size_t hop = code_.size();
    code_.push_back(statement(BPF_JMP | BPF_JA, 0));
    block();
    code_[hop].k = static_cast<uint32_t>(code_.size() - hop - 1);
  }

  // Passes what could not be searched (bad header length, fragment, too short for ports), and loads
  // the IP header length into X: fragments are put together, the rest is counted. Needs the
  // destination to be at least one that could be ours, tested by the caller.
  void pass_irregular() {
    code_.push_back(statement(BPF_LD | BPF_B | BPF_ABS, link_));
    code_.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, 0x45, 0, 1));
    code_.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, 0x50, 0, 1));
    ret(kAccept);
    code_.push_back(statement(BPF_LD | BPF_H | BPF_ABS, link_ + 6));
    code_.push_back(jump(BPF_JMP | BPF_JSET | BPF_K, 0x3fff, 0, 1));
    ret(kAccept);
    code_.push_back(statement(BPF_LDX | BPF_B | BPF_MSH, link_));
    code_.push_back(statement(BPF_LD | BPF_W | BPF_LEN, 0));
    // The destination was loaded, so that there are more bytes than are subtracted.
    code_.push_back(
        statement(BPF_ALU | BPF_SUB | BPF_K, link_ + static_cast<uint32_t>(kUdpHeader)));
    code_.push_back(jump(BPF_JMP | BPF_JGE | BPF_X, 0, 1, 0));
    ret(kAccept);
  }

  void load_destination() { code_.push_back(statement(BPF_LD | BPF_W | BPF_ABS, link_ + 16)); }

  // Drops unless the destination, in A, is a group or one of `unicast`.
  void require_destination(const std::vector<uint32_t>& unicast) {
    code_.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, 0xf0000000, 1, 0));
    const size_t rest = unicast.size() + 1;
    code_.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, 0xe0000000, rest, 0));
    for (size_t i = 0; i < unicast.size(); i++) {
      code_.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, unicast[i], rest - 1 - i, 0));
    }
    ret(kDrop);
  }

  // Binary search over the destination, in A. Subtrees are cut into chunks that end with their own
  // two verdicts, so that every jump in a chunk fits 8 bits.
  void search(const std::vector<Leaf>& leaves, size_t begin, size_t end) {
    if (tree_size(leaves, begin, end) + 2 <= kMaxJump) {
      const size_t verdicts = code_.size() + tree_size(leaves, begin, end);
      chunk(leaves, begin, end, verdicts);
      ret(kAccept);
      ret(kDrop);
      return;
    }
    const size_t middle = (begin + end) / 2;
    code_.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, leaves[middle].address, 0, 1));
    const size_t hop = code_.size();
    code_.push_back(statement(BPF_JMP | BPF_JA, 0));
    search(leaves, begin, middle);
    code_[hop].k = static_cast<uint32_t>(code_.size() - hop - 1);
    search(leaves, middle, end);
  }

 private:
  void require(uint32_t test, uint32_t value) {
    code_.push_back(jump(BPF_JMP | test | BPF_K, value, 1, 0));
    ret(kDrop);
  }
  void refuse(uint32_t test, uint32_t value) {
    code_.push_back(jump(BPF_JMP | test | BPF_K, value, 0, 1));
    ret(kDrop);
  }

  // Leaves and the inner nodes between them: one less than there are leaves.
  static size_t tree_size(const std::vector<Leaf>& leaves, size_t begin, size_t end) {
    size_t size = end - begin - 1;
    for (size_t i = begin; i < end && size <= kMaxFilterCode; i++) size += leaves[i].size();
    return size;
  }

  [[nodiscard]] size_t distance(size_t target) const { return target - code_.size() - 1; }

  void chunk(const std::vector<Leaf>& leaves, size_t begin, size_t end, size_t accept) {
    const size_t drop = accept + 1;
    if (end - begin > 1) {
      const size_t middle = (begin + end) / 2;
      code_.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, leaves[middle].address,
                           tree_size(leaves, begin, middle), 0));
      chunk(leaves, begin, middle, accept);
      chunk(leaves, middle, end, accept);
      return;
    }
    const Leaf& leaf = leaves[begin];
    if (leaf.ports.empty()) {
      code_.push_back(
          jump(BPF_JMP | BPF_JEQ | BPF_K, leaf.address, distance(accept), distance(drop)));
      return;
    }
    code_.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, leaf.address, 0, distance(drop)));
    code_.push_back(statement(BPF_LD | BPF_H | BPF_IND, link_ + 2));
    for (size_t i = 0; i < leaf.ports.size(); i++) {
      const bool last = i + 1 == leaf.ports.size();
      code_.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, leaf.ports[i], distance(accept),
                           last ? distance(drop) : 0));
    }
  }

  uint32_t link_;
  std::vector<sock_filter> code_;
};

std::vector<uint32_t> unicast_addresses(const std::vector<FilterTarget>& targets) {
  std::vector<uint32_t> unicast;
  for (const FilterTarget& target : targets) {
    if (!is_multicast(target.address)) unicast.push_back(target.address);
  }
  std::sort(unicast.begin(), unicast.end());
  unicast.erase(std::unique(unicast.begin(), unicast.end()), unicast.end());
  return unicast;
}

// Whether there are more addresses than that.
bool has_more_addresses(const std::vector<FilterTarget>& targets, size_t limit) {
  if (targets.size() <= limit) return false;
  std::unordered_set<uint32_t> addresses;
  for (const FilterTarget& target : targets) {
    if (addresses.insert(target.address).second && addresses.size() > limit) return true;
  }
  return false;
}

// Leaves by address. False if a group's ports had to be widened to any.
bool make_leaves(std::vector<FilterTarget> targets, std::vector<Leaf>& leaves) {
  std::sort(targets.begin(), targets.end());
  targets.erase(std::unique(targets.begin(), targets.end()), targets.end());
  bool exact = true;
  for (size_t i = 0; i < targets.size();) {
    Leaf leaf{targets[i].address, {}};
    size_t end = i;
    while (end < targets.size() && targets[end].address == leaf.address) end++;
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

// The targets of each VLAN.
std::map<uint16_t, std::vector<FilterTarget>> by_vlan(const std::vector<FilterTarget>& targets) {
  std::map<uint16_t, std::vector<FilterTarget>> vlans;
  for (const FilterTarget& target : targets) vlans[target.vlan].push_back(target);
  return vlans;
}

}  // namespace

bool Filter::operator==(const Filter& other) const {
  return exact == other.exact && code.size() == other.code.size() &&
         (code.empty() ||
          std::memcmp(code.data(), other.code.data(), code.size() * sizeof(sock_filter)) == 0);
}

Filter compile_coarse_filter(const std::vector<FilterTarget>& targets, size_t link_header) {
  Compiler compiler(link_header);
  compiler.prologue();
  compiler.load_vlan();
  for (const auto& [vlan, own] : by_vlan(targets)) {
    const std::vector<uint32_t> unicast = unicast_addresses(own);
    compiler.in_vlan(vlan, [&] {
      if (unicast.size() <= kMaxCoarseUnicast) {
        compiler.load_destination();
        compiler.require_destination(unicast);
      }
      compiler.ret(kAccept);
    });
    // Every other one then, rather than a filter that the kernel refuses.
    if (compiler.size() + 2 > kMaxFilterCode - kMaxCoarseVlanCode) {
      compiler.ret(kAccept);
      return {compiler.take(), false};
    }
  }
  compiler.ret(kDrop);
  return {compiler.take(), false};
}

Filter compile_filter(const std::vector<FilterTarget>& targets, size_t link_header,
                      size_t max_code) {
  if (targets.empty()) return drop_all_filter();
  Compiler compiler(link_header);
  compiler.prologue();
  compiler.load_vlan();
  bool exact = true;
  for (const auto& [vlan, own] : by_vlan(targets)) {
    // Each address takes two instructions or more: do not build what cannot fit.
    if (has_more_addresses(own, max_code / 2)) return compile_coarse_filter(targets, link_header);
    const std::vector<uint32_t> unicast = unicast_addresses(own);
    std::vector<Leaf> leaves;
    exact = make_leaves(own, leaves) && exact;
    if (compiler.size() + leaves.size() * 2 > max_code || unicast.size() > kMaxCoarseUnicast) {
      return compile_coarse_filter(targets, link_header);
    }
    compiler.in_vlan(vlan, [&] {
      compiler.load_destination();
      compiler.require_destination(unicast);
      compiler.pass_irregular();
      compiler.load_destination();
      compiler.search(leaves, 0, leaves.size());
    });
  }
  compiler.ret(kDrop);
  if (compiler.size() > max_code) return compile_coarse_filter(targets, link_header);
  return {compiler.take(), exact};
}

Filter drop_all_filter() {
  return {{statement(BPF_RET | BPF_K, kDrop)}, true};
}

}  // namespace mcfleet
