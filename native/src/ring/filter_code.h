#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <utility>
#include <vector>

namespace mcfleet {

// One word of an address, and the ports that are wanted there; no ports: any.
struct FilterLeaf {
  uint32_t word;
  std::vector<uint16_t> ports;

  [[nodiscard]] size_t size() const { return ports.empty() ? 1 : 2 + ports.size(); }
};

// Writes classic BPF for filters of packet sockets: "A" and "X" are its two registers
// (Documentation/networking/filter.rst).
class FilterCode final {
 public:
  static constexpr uint32_t kAccept = 0xffffffff;
  static constexpr uint32_t kDrop = 0;

  explicit FilterCode(size_t link_header) : link_(static_cast<uint32_t>(link_header)) {}

  std::vector<sock_filter> take() { return std::move(code_); }
  [[nodiscard]] size_t size() const { return code_.size(); }

  void ret(uint32_t verdict);
  // Loads into A from the IP packet, or what the kernel tells of it (SKF_AD_*).
  void load_byte(size_t offset);
  void load_half(size_t offset);
  void load_word(size_t offset);
  void load_ancillary(uint32_t size, int offset);
  // Loads the VLAN; 0 is none. Priority tags (VLAN 0) are no VLAN.
  void load_vlan();
  // The length of the IP header into X: read from an IPv4 header, or known.
  void load_ipv4_header_length();
  void set_header_length(size_t bytes);
  void mask(uint32_t bits);

  // Ends with a verdict if A compares so.
  void drop_unless(uint32_t compare, uint32_t value) { branch(compare, value, 1, 0, kDrop); }
  void drop_if(uint32_t compare, uint32_t value) { branch(compare, value, 0, 1, kDrop); }
  void accept_unless(uint32_t compare, uint32_t value) { branch(compare, value, 1, 0, kAccept); }
  void accept_if(uint32_t compare, uint32_t value) { branch(compare, value, 0, 1, kAccept); }
  // Accepts packets of fewer bytes behind the link-layer header, with X added if `indexed`.
  void accept_shorter(size_t bytes, bool indexed);

  // Drops unless A, the first word of an address, is at least `group` and less than `behind`, or
  // the word at `offset` is one of `unicast`. Fewer than 250 of those.
  void require_destination(uint32_t group, uint32_t behind, size_t offset,
                           const std::vector<uint32_t>& unicast);

  // `block` writes what is done where A is `value`, and ends with verdicts; everything else comes
  // out behind it, with A as it was.
  template <typename Block>
  void when(uint32_t value, Block&& block) {
    const size_t hop = hop_unless(value);
    block();
    land(hop);
  }
  // `block` writes what is done where A is not `value`; all that it does not end comes out behind
  // it.
  template <typename Block>
  void unless(uint32_t value, Block&& block) {
    const size_t hop = hop_if(value);
    block();
    land(hop);
  }
  // Drops unless A is one of these.
  void require_one_of(std::initializer_list<uint32_t> values);
  // A jump over what follows if A is `value`, or unless it is, of any distance; land() says to
  // where.
  size_t hop_if(uint32_t value);
  size_t hop_unless(uint32_t value);
  void land(size_t hop) { code_[hop].k = static_cast<uint32_t>(code_.size() - hop - 1); }

  // Binary search for A among the words of sorted leaves, and for the UDP destination port behind
  // an IP header of X bytes; ends with verdicts.
  void search(const std::vector<FilterLeaf>& leaves) { search_part(leaves, 0, leaves.size()); }

 private:
  void branch(uint32_t compare, uint32_t value, size_t jt, size_t jf, uint32_t verdict);
  void search_part(const std::vector<FilterLeaf>& leaves, size_t begin, size_t end);
  static size_t tree_size(const std::vector<FilterLeaf>& leaves, size_t begin, size_t end);
  void chunk(const std::vector<FilterLeaf>& leaves, size_t begin, size_t end, size_t accept);
  [[nodiscard]] size_t distance(size_t target) const { return target - code_.size() - 1; }

  uint32_t link_;
  std::vector<sock_filter> code_;
};

}  // namespace mcfleet
