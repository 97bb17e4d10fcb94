#pragma once

#include <linux/bpf.h>

#include <cstddef>
#include <cstdint>
#include <span>

#include "base/result.h"
#include "base/unique_fd.h"

namespace mcfleet {

// The calls of bpf(2) that are needed here. All descriptors are closed on exec by the kernel.

// A hash map of fixed sizes in bytes that takes at most `entries`; it uses memory for those that it
// holds. EPERM: CAP_BPF is missing.
Result<UniqueFd> create_hash_map(uint32_t key_size, uint32_t value_size, uint32_t entries);

// Both expect as many bytes as the map was made for. E2BIG: it is full.
Status put_map_entry(int map, const void* key, const void* value);
// An entry that is not there is no error.
Status erase_map_entry(int map, const void* key);

// A program that decides about packets (BPF_PROG_TYPE_SCHED_CLS). EPERM: CAP_BPF or CAP_NET_ADMIN
// is missing, or this is not the first user namespace. EACCES: the kernel's verifier refuses it.
Result<UniqueFd> load_packet_program(std::span<const bpf_insn> code, const char* name);

// Lets the program look at what an interface receives, behind other programs that are there, after
// packet sockets have taken it (tcx, Linux 6.6). It stays until the descriptor is closed: at the
// latest with the end of the process. EINVAL: the kernel is too old.
Result<UniqueFd> attach_to_ingress(int program, int ifindex);

// Whether the interface that it was attached to is still there.
bool is_attached(int link);

}  // namespace mcfleet
