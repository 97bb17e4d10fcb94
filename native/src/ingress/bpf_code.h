#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace mcfleet {

// Writes eBPF (Documentation/bpf/standardization/instruction-set.rst). Jumps go to labels, which
// stand for a place behind.
class BpfCode final {
 public:
  // Numbers of the user, from 0.
  using Label = size_t;

  void set(uint8_t to, int32_t value) { add(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value); }
  void copy(uint8_t to, uint8_t from) { add(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0); }
  void add(uint8_t to, int32_t value) { add(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value); }
  void mask(uint8_t to, int32_t bits) { add(BPF_ALU64 | BPF_AND | BPF_K, to, 0, 0, bits); }
  // `size`: BPF_B, BPF_H or BPF_W.
  void load(uint8_t size, uint8_t to, uint8_t base, int offset) {
    add(BPF_LDX | BPF_MEM | size, to, base, offset, 0);
  }
  void store(uint8_t size, uint8_t base, int offset, uint8_t from) {
    add(BPF_STX | BPF_MEM | size, base, from, offset, 0);
  }
  void store_value(uint8_t size, uint8_t base, int offset, int32_t value) {
    add(BPF_ST | BPF_MEM | size, base, 0, offset, value);
  }
  void load_map(uint8_t to, int map) {
    add(BPF_LD | BPF_DW | BPF_IMM, to, BPF_PSEUDO_MAP_FD, 0, map);
    add(0, 0, 0, 0, 0);
  }
  // A helper of the kernel: arguments in registers 1 to 5, which are lost; its answer in 0.
  void call(bpf_func_id helper) { add(BPF_JMP | BPF_CALL, 0, 0, 0, static_cast<int32_t>(helper)); }
  // `compare`: BPF_JEQ, BPF_JNE, BPF_JGT and so on, with the register's 64 bits.
  void jump_if(uint8_t compare, uint8_t reg, int32_t value, Label label) {
    jumps_.emplace_back(code_.size(), label);
    add(BPF_JMP | compare | BPF_K, reg, 0, 0, value);
  }
  void jump(Label label) {
    jumps_.emplace_back(code_.size(), label);
    add(BPF_JMP | BPF_JA, 0, 0, 0, 0);
  }
  // What comes next is where jumps to `label` lead, that are written already.
  void place(Label label) {
    std::erase_if(jumps_, [&](const auto& jump) {
      if (jump.second != label) return false;
      code_[jump.first].off = static_cast<int16_t>(code_.size() - jump.first - 1);
      return true;
    });
  }
  void exit(int32_t verdict) {
    set(0, verdict);
    add(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
  }

  std::vector<bpf_insn> take() { return std::move(code_); }

 private:
  void add(int code, uint8_t to, uint8_t from, int offset, int32_t value) {
    bpf_insn instruction{};
    instruction.code = static_cast<uint8_t>(code);
    instruction.dst_reg = to & 0xf;
    instruction.src_reg = from & 0xf;
    instruction.off = static_cast<int16_t>(offset);
    instruction.imm = value;
    code_.push_back(instruction);
  }

  std::vector<bpf_insn> code_;
  // Which have no aim yet.
  std::vector<std::pair<size_t, Label>> jumps_;
};

}  // namespace mcfleet
