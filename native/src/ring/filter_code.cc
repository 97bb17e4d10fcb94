#include "ring/filter_code.h"

#include "packet/parse.h"

namespace mcfleet {
namespace {

// Jump distances of conditional jumps have 8 bits.
constexpr size_t kMaxJump = 255;
// A tree that is larger is cut, whatever its size.
constexpr size_t kLargeTree = 4096;

sock_filter statement(uint32_t code, uint32_t k) {
  return BPF_STMT(static_cast<uint16_t>(code), k);
}
sock_filter jump(uint32_t code, uint32_t k, size_t jt, size_t jf) {
  return BPF_JUMP(static_cast<uint16_t>(code), k, static_cast<uint8_t>(jt),
                  static_cast<uint8_t>(jf));
}

}  // namespace

void FilterCode::ret(uint32_t verdict) {
  code_.push_back(statement(BPF_RET | BPF_K, verdict));
}

void FilterCode::load_byte(size_t offset) {
  code_.push_back(statement(BPF_LD | BPF_B | BPF_ABS, link_ + static_cast<uint32_t>(offset)));
}

void FilterCode::load_half(size_t offset) {
  code_.push_back(statement(BPF_LD | BPF_H | BPF_ABS, link_ + static_cast<uint32_t>(offset)));
}

void FilterCode::load_word(size_t offset) {
  code_.push_back(statement(BPF_LD | BPF_W | BPF_ABS, link_ + static_cast<uint32_t>(offset)));
}

void FilterCode::load_ancillary(uint32_t size, int offset) {
  code_.push_back(statement(BPF_LD | size | BPF_ABS, static_cast<uint32_t>(SKF_AD_OFF + offset)));
}

void FilterCode::load_vlan() {
  load_ancillary(BPF_B, SKF_AD_VLAN_TAG_PRESENT);
  code_.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, 0, 2, 0));
  load_ancillary(BPF_H, SKF_AD_VLAN_TAG);
  mask(0x0fff);
}

void FilterCode::load_ipv4_header_length() {
  code_.push_back(statement(BPF_LDX | BPF_B | BPF_MSH, link_));
}

void FilterCode::set_header_length(size_t bytes) {
  code_.push_back(statement(BPF_LDX | BPF_W | BPF_IMM, static_cast<uint32_t>(bytes)));
}

void FilterCode::mask(uint32_t bits) {
  code_.push_back(statement(BPF_ALU | BPF_AND | BPF_K, bits));
}

void FilterCode::branch(uint32_t compare, uint32_t value, size_t jt, size_t jf, uint32_t verdict) {
  code_.push_back(jump(BPF_JMP | compare | BPF_K, value, jt, jf));
  ret(verdict);
}

void FilterCode::accept_shorter(size_t bytes, bool indexed) {
  code_.push_back(statement(BPF_LD | BPF_W | BPF_LEN, 0));
  if (indexed) {
    // The destination was loaded, so that there are more bytes than are subtracted.
    code_.push_back(statement(BPF_ALU | BPF_SUB | BPF_K, link_ + static_cast<uint32_t>(bytes)));
    code_.push_back(jump(BPF_JMP | BPF_JGE | BPF_X, 0, 1, 0));
    ret(kAccept);
    return;
  }
  accept_unless(BPF_JGE, link_ + static_cast<uint32_t>(bytes));
}

void FilterCode::require_destination(uint32_t group, uint32_t behind, size_t offset,
                                     const std::vector<uint32_t>& unicast) {
  // Behind what follows: the load, the comparisons and the verdict.
  const size_t rest = unicast.size() + 2;
  if (behind != 0) code_.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, behind, 1, 0));
  code_.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, group, rest, 0));
  load_word(offset);
  for (size_t i = 0; i < unicast.size(); i++) {
    code_.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, unicast[i], unicast.size() - i, 0));
  }
  ret(kDrop);
}

void FilterCode::require_one_of(std::initializer_list<uint32_t> values) {
  size_t left = values.size();
  for (const uint32_t value : values) {
    code_.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, value, left, 0));
    left--;
  }
  ret(kDrop);
}

size_t FilterCode::hop_if(uint32_t value) {
  code_.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 1));
  code_.push_back(statement(BPF_JMP | BPF_JA, 0));
  return code_.size() - 1;
}

size_t FilterCode::hop_unless(uint32_t value) {
  code_.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, value, 1, 0));
  code_.push_back(statement(BPF_JMP | BPF_JA, 0));
  return code_.size() - 1;
}

// Subtrees are cut into chunks that end with their own two verdicts, so that every jump in a chunk
// fits 8 bits.
void FilterCode::search_part(const std::vector<FilterLeaf>& leaves, size_t begin, size_t end) {
  if (tree_size(leaves, begin, end) + 2 <= kMaxJump) {
    const size_t verdicts = code_.size() + tree_size(leaves, begin, end);
    chunk(leaves, begin, end, verdicts);
    ret(kAccept);
    ret(kDrop);
    return;
  }
  const size_t middle = (begin + end) / 2;
  code_.push_back(jump(BPF_JMP | BPF_JGE | BPF_K, leaves[middle].word, 0, 1));
  const size_t hop = code_.size();
  code_.push_back(statement(BPF_JMP | BPF_JA, 0));
  search_part(leaves, begin, middle);
  land(hop);
  search_part(leaves, middle, end);
}

// Leaves and the inner nodes between them: one less than there are leaves.
size_t FilterCode::tree_size(const std::vector<FilterLeaf>& leaves, size_t begin, size_t end) {
  size_t size = end - begin - 1;
  for (size_t i = begin; i < end && size <= kLargeTree; i++) size += leaves[i].size();
  return size;
}

void FilterCode::chunk(const std::vector<FilterLeaf>& leaves, size_t begin, size_t end,
                       size_t accept) {
  const size_t drop = accept + 1;
  if (end - begin > 1) {
    const size_t middle = (begin + end) / 2;
    code_.push_back(
        jump(BPF_JMP | BPF_JGE | BPF_K, leaves[middle].word, tree_size(leaves, begin, middle), 0));
    chunk(leaves, begin, middle, accept);
    chunk(leaves, middle, end, accept);
    return;
  }
  const FilterLeaf& leaf = leaves[begin];
  if (leaf.ports.empty()) {
    code_.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, leaf.word, distance(accept), distance(drop)));
    return;
  }
  code_.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, leaf.word, 0, distance(drop)));
  // Relative to X, which takes the kernel half the instructions of an absolute load
  // (convert_bpf_ld_abs, net/core/filter.c), and they are charged to the socket.
  code_.push_back(statement(BPF_LD | BPF_H | BPF_IND, link_ + 2));
  for (size_t i = 0; i < leaf.ports.size(); i++) {
    const bool last = i + 1 == leaf.ports.size();
    code_.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, leaf.ports[i], distance(accept),
                         last ? distance(drop) : 0));
  }
}

}  // namespace mcfleet
