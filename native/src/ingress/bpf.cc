#include "ingress/bpf.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>
#include <string>

namespace mcfleet {
namespace {

// Parts of union bpf_attr (linux/bpf.h), as the kernel reads them: headers of a build machine may
// be older than tcx. What is behind them is zero to the kernel.

struct MapCreate {
  uint32_t map_type;
  uint32_t key_size;
  uint32_t value_size;
  uint32_t max_entries;
  uint32_t map_flags;
};
static_assert(sizeof(MapCreate) == 20 && offsetof(MapCreate, map_flags) == 16);

struct MapEntry {
  uint32_t map_fd;
  uint32_t padding;
  uint64_t key;
  uint64_t value;
  uint64_t flags;
};
static_assert(sizeof(MapEntry) == 32 && offsetof(MapEntry, key) == 8);

struct ProgramLoad {
  uint32_t prog_type;
  uint32_t insn_cnt;
  uint64_t insns;
  uint64_t license;
  uint32_t log_level;
  uint32_t log_size;
  uint64_t log_buf;
  uint32_t kern_version;
  uint32_t prog_flags;
  char prog_name[16];
};
static_assert(sizeof(ProgramLoad) == 64 && offsetof(ProgramLoad, prog_name) == 48);

struct LinkCreate {
  uint32_t prog_fd;
  uint32_t target_ifindex;
  uint32_t attach_type;
  uint32_t flags;
  // Of tcx: no other program to be before or behind, at any state of the list.
  uint32_t relative_fd;
  uint32_t padding;
  uint64_t expected_revision;
};
static_assert(sizeof(LinkCreate) == 32 && offsetof(LinkCreate, expected_revision) == 24);

struct ObjectInfo {
  uint32_t bpf_fd;
  uint32_t info_len;
  uint64_t info;
};
static_assert(sizeof(ObjectInfo) == 16);

// The beginning of struct bpf_link_info, of a link of tcx.
struct TcxLinkInfo {
  uint32_t type;
  uint32_t id;
  uint32_t prog_id;
  uint32_t padding;
  uint32_t ifindex;
  uint32_t attach_type;
};
static_assert(sizeof(TcxLinkInfo) == 24 && offsetof(TcxLinkInfo, ifindex) == 16);
static_assert(sizeof(bpf_insn) == 8);

// Of enum bpf_attach_type.
constexpr uint32_t kTcxIngress = 46;

template <typename Attributes>
int call(bpf_cmd command, Attributes& attributes) {
  return static_cast<int>(syscall(SYS_bpf, command, &attributes, sizeof(attributes)));
}

uint64_t pointer(const void* p) {
  return reinterpret_cast<uint64_t>(p);
}

}  // namespace

Result<UniqueFd> create_hash_map(uint32_t key_size, uint32_t value_size, uint32_t entries) {
  MapCreate attributes{BPF_MAP_TYPE_HASH, key_size, value_size, entries, BPF_F_NO_PREALLOC};
  UniqueFd fd(call(BPF_MAP_CREATE, attributes));
  if (!fd.valid()) return Error::from_errno("make a BPF map");
  return fd;
}

Status put_map_entry(int map, const void* key, const void* value) {
  MapEntry attributes{static_cast<uint32_t>(map), 0, pointer(key), pointer(value), BPF_ANY};
  if (call(BPF_MAP_UPDATE_ELEM, attributes) == 0) return {};
  return Error::from_errno("put an entry into a BPF map");
}

Status erase_map_entry(int map, const void* key) {
  MapEntry attributes{static_cast<uint32_t>(map), 0, pointer(key), 0, 0};
  if (call(BPF_MAP_DELETE_ELEM, attributes) == 0 || errno == ENOENT) return {};
  return Error::from_errno("take an entry out of a BPF map");
}

Result<UniqueFd> load_packet_program(std::span<const bpf_insn> code, const char* name) {
  ProgramLoad attributes{};
  attributes.prog_type = BPF_PROG_TYPE_SCHED_CLS;
  attributes.insn_cnt = static_cast<uint32_t>(code.size());
  attributes.insns = pointer(code.data());
  attributes.license = pointer("Apache-2.0");
  std::strncpy(attributes.prog_name, name, sizeof(attributes.prog_name) - 1);
  UniqueFd fd(call(BPF_PROG_LOAD, attributes));
  if (!fd.valid()) return Error::from_errno("load a BPF program");
  return fd;
}

Result<UniqueFd> attach_to_ingress(int program, int ifindex) {
  LinkCreate attributes{};
  attributes.prog_fd = static_cast<uint32_t>(program);
  attributes.target_ifindex = static_cast<uint32_t>(ifindex);
  attributes.attach_type = kTcxIngress;
  UniqueFd fd(call(BPF_LINK_CREATE, attributes));
  if (!fd.valid()) {
    return Error::from_errno("attach a BPF program to interface index " + std::to_string(ifindex));
  }
  return fd;
}

bool is_attached(int link) {
  TcxLinkInfo info{};
  ObjectInfo attributes{static_cast<uint32_t>(link), sizeof(info), pointer(&info)};
  return call(BPF_OBJ_GET_INFO_BY_FD, attributes) == 0 && info.ifindex != 0;
}

}  // namespace mcfleet
