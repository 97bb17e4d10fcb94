#include "ring/rx_ring.h"

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/ethernet.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <cstring>
#include <utility>

#include "ring/packet_socket.h"

namespace mcfleet {
namespace {

static_assert(sizeof(tpacket2_hdr) == 32);
// The rings are used as if their blocks were one piece.
static_assert(RxRing::kBlockBytes % RxRing::kSlotBytes == 0);
static_assert(RxRing::kBlockBytes % RxRing::kLongSlotBytes == 0);

// Smallest frame of which the kernel queues a whole copy when it exceeds its slot.
constexpr int kCopyThreshold = 65535;
// Slots between one that is looked at and one that is fetched for the kernel.
constexpr size_t kFetchAhead = 512;
constexpr size_t kFetchAheadOfRoom = 64;

// Limits that queue. It holds nothing while frames fit their slots. The kernel doubles the number,
// to account for its own structures.
Status set_receive_buffer(int fd, size_t bytes) {
  const auto limit = static_cast<int>(std::min(bytes, size_t{INT_MAX} / 2));
  if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &limit, sizeof(limit)) == 0) return {};
  return set_option(fd, SOL_SOCKET, SO_RCVBUF, limit, "SO_RCVBUF");
}

Status configure(int fd, size_t bytes) {
  // Nothing may pass before the real filter is there.
  if (Status status = attach_filter(fd, drop_all_filter()); !status.ok()) return status;
  if (Status status = set_option(fd, SOL_PACKET, PACKET_VERSION, TPACKET_V2, "PACKET_VERSION");
      !status.ok()) {
    return status;
  }
  if (Status status = set_option(fd, SOL_PACKET, PACKET_VNET_HDR, 1, "PACKET_VNET_HDR");
      !status.ok()) {
    return status;
  }
  if (Status status =
          set_option(fd, SOL_PACKET, PACKET_COPY_THRESH, kCopyThreshold, "PACKET_COPY_THRESH");
      !status.ok()) {
    return status;
  }
  return set_receive_buffer(fd, bytes);
}

// The VLAN of a frame whose tag the kernel has taken off.
uint16_t vlan_of(const tpacket2_hdr& header, uint32_t status) {
  if ((status & TP_STATUS_VLAN_VALID) == 0) return 0;
  const auto vlan = static_cast<uint16_t>(header.tp_vlan_tci & 0x0fff);
  // A service tag (IEEE 802.1ad) numbers VLANs of its own.
  const bool service =
      (status & TP_STATUS_VLAN_TPID_VALID) != 0 && header.tp_vlan_tpid != ETH_P_8021Q;
  return service && vlan != 0 ? RxFrame::kServiceVlan : vlan;
}

uint64_t time_of(const tpacket2_hdr& header) {
  return uint64_t{header.tp_sec} * 1'000'000'000 + header.tp_nsec;
}

}  // namespace

Result<RxRing> RxRing::open(int ifindex, size_t bytes, size_t slot_bytes, Fanout& fanout) {
  const std::string interface = "interface index " + std::to_string(ifindex);
  // Protocol 0 keeps the socket out of every receive path until it is bound.
  UniqueFd fd(socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Error::from_errno("open a packet socket for receiving");
  if (Status status = configure(fd.get(), bytes); !status.ok()) return status.error();

  const size_t size = size_of(bytes);
  tpacket_req request{};
  request.tp_block_size = static_cast<unsigned>(kBlockBytes);
  request.tp_block_nr = static_cast<unsigned>(size / kBlockBytes);
  request.tp_frame_size = static_cast<unsigned>(slot_bytes);
  request.tp_frame_nr = static_cast<unsigned>(size / slot_bytes);
  if (setsockopt(fd.get(), SOL_PACKET, PACKET_RX_RING, &request, sizeof(request)) != 0) {
    return Error::from_errno("allocate a receive ring of " + std::to_string(size) + " bytes");
  }
  void* map = mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd.get(), 0);
  if (map == MAP_FAILED) return Error::from_errno("map the receive ring");
  RxRing ring(std::move(fd), static_cast<uint8_t*>(map), size, slot_bytes);

  sockaddr_ll address{};
  address.sll_family = AF_PACKET;
  // All protocols: handlers of one protocol run after a bridge, bond or macvlan has already taken
  // the frame.
  address.sll_protocol = htons(ETH_P_ALL);
  address.sll_ifindex = ifindex;
  if (bind(ring.fd(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return Error::from_errno("bind a packet socket to " + interface);
  }
  if (Status status = fanout.join(ring.fd()); !status.ok()) return status.error();
  return ring;
}

RxRing::RxRing(UniqueFd fd, uint8_t* map, size_t bytes, size_t slot_bytes)
    : fd_(std::move(fd)),
      map_(map),
      bytes_(bytes),
      slot_bytes_(slot_bytes),
      slots_(bytes / slot_bytes) {}

RxRing::RxRing(RxRing&& other) noexcept
    : fd_(std::move(other.fd_)),
      map_(std::exchange(other.map_, nullptr)),
      bytes_(other.bytes_),
      slot_bytes_(other.slot_bytes_),
      slots_(other.slots_),
      head_(other.head_),
      taken_(other.taken_) {}

RxRing::~RxRing() {
  if (map_ != nullptr) munmap(map_, bytes_);
}

uint8_t* RxRing::slot_ahead(size_t ahead) const {
  size_t index = head_ + taken_ + ahead;
  while (index >= slots_) index -= slots_;
  return map_ + index * slot_bytes_;
}

uint8_t* RxRing::next(uint32_t& status) const {
  if (taken_ == slots_) return nullptr;
  uint8_t* slot = slot_ahead(0);
  const auto* header = reinterpret_cast<const tpacket2_hdr*>(slot);
  // Pairs with the kernel's smp_wmb() before it hands the slot over (__packet_set_status).
  status = __atomic_load_n(&header->tp_status, __ATOMIC_ACQUIRE);
  return (status & TP_STATUS_USER) != 0 ? slot : nullptr;
}

uint64_t RxRing::next_time_ns() const {
  uint32_t status = 0;
  const uint8_t* slot = next(status);
  return slot != nullptr ? time_of(*reinterpret_cast<const tpacket2_hdr*>(slot)) : 0;
}

bool RxRing::take(RxFrame& frame) {
  uint32_t status = 0;
  uint8_t* slot = next(status);
  if (slot == nullptr) return false;
  const auto* header = reinterpret_cast<const tpacket2_hdr*>(slot);
  frame.data = slot + header->tp_mac;
  frame.captured = header->tp_snaplen;
  frame.length = header->tp_len;
  // The vnet header ends where the frame begins (tpacket_rcv).
  std::memcpy(&frame.offload, frame.data - sizeof(VnetHeader), sizeof(VnetHeader));
  frame.time_ns = time_of(*header);
  frame.vlan = vlan_of(*header, status);
  frame.copy = (status & TP_STATUS_COPY) != 0;
  // The kernel reads the header of the slot that it fills, and of one a quarter of the ring further
  // on, to see whether there is room (__packet_rcv_has_room). The ring does not fit the caches, and
  // where packets arrive time is shorter than here: it finds them in the cache of this core.
  __builtin_prefetch(slot_ahead(std::min(kFetchAhead, slots_ / 2)));
  __builtin_prefetch(slot_ahead(std::min(slots_ / 4 + kFetchAheadOfRoom, slots_ / 2)));
  taken_++;
  return true;
}

void RxRing::release() {
  for (; taken_ > 0; taken_--) {
    auto* header = reinterpret_cast<tpacket2_hdr*>(map_ + head_ * slot_bytes_);
    __atomic_store_n(&header->tp_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
    head_ = head_ + 1 == slots_ ? 0 : head_ + 1;
  }
}

bool RxRing::read_copy(RxFrame& frame, uint8_t* buffer) const {
  // A pending socket error (the interface went down) is told once, in place of a frame: the copy is
  // still there.
  constexpr int kAttempts = 3;
  for (int attempt = 0; attempt < kAttempts; attempt++) {
    const ssize_t size = recv(fd_.get(), buffer, kCopyBytes, MSG_DONTWAIT);
    if (size < 0) continue;
    const auto taken = static_cast<size_t>(size);
    if (taken < sizeof(VnetHeader)) return false;
    std::memcpy(&frame.offload, buffer, sizeof(VnetHeader));
    frame.data = buffer + sizeof(VnetHeader);
    frame.captured = taken - sizeof(VnetHeader);
    return frame.captured == frame.length;
  }
  return false;
}

uint32_t RxRing::take_kernel_drops() const {
  tpacket_stats stats{};
  socklen_t size = sizeof(stats);
  if (getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &stats, &size) != 0) return 0;
  return stats.tp_drops;
}

void RxRing::clear_error() const {
  int ignored = 0;
  socklen_t size = sizeof(ignored);
  getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &ignored, &size);
}

Status RxRing::set_filter(const Filter& filter) const {
  if (!filter.code.empty()) return attach_filter(fd_.get(), filter);
  const int ignored = 0;
  if (setsockopt(fd_.get(), SOL_SOCKET, SO_DETACH_FILTER, &ignored, sizeof(ignored)) == 0) {
    return {};
  }
  // There is none.
  if (errno == ENOENT) return {};
  return Error::from_errno("setsockopt SO_DETACH_FILTER");
}

}  // namespace mcfleet
