#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "base/unique_fd.h"
#include "packet/vnet_header.h"
#include "ring/fanout.h"
#include "ring/filter.h"

namespace mcfleet {

// One received frame, in its slot until release(). It may be written to.
struct RxFrame {
  uint8_t* data = nullptr;
  // Bytes at `data`, and bytes of the frame itself.
  size_t captured = 0;
  size_t length = 0;
  VnetHeader offload{};
  // When the kernel queued it, Unix time.
  uint64_t time_ns = 0;
  // In place of the id of a VLAN that a service tag names.
  static constexpr uint16_t kServiceVlan = 0xffff;
  // VLAN id, 0 if untagged or only priority-tagged.
  uint16_t vlan = 0;
  // The whole frame waits in the socket's queue: read_copy() must take it, for copies carry no mark
  // of their slot.
  bool copy = false;
};

// A TPACKET_V2 receive ring on one interface (packet_mmap.rst), a member of the interface's fanout
// group. One thread reads; filter and statistics may be used by another.
//
// Frames that do not fit a slot wait in the socket's queue (PACKET_COPY_THRESH).
class RxRing final {
 public:
  // 14 bytes of Ethernet, IP and a 1500-byte MTU fit with the slot's own 76 bytes.
  static constexpr size_t kSlotBytes = 2048;
  // Of a ring for super-frames. IP packets of up to 65,446 bytes fit.
  static constexpr size_t kLongSlotBytes = size_t{64} << 10;
  static constexpr size_t kBlockBytes = size_t{256} << 10;
  // Room for any copy: vnet header, link-layer header and the longest IP packet.
  static constexpr size_t kCopyBytes = size_t{66} << 10;

  // What a ring of `bytes` has: whole blocks.
  static constexpr size_t size_of(size_t bytes) {
    return (bytes + kBlockBytes - 1) / kBlockBytes * kBlockBytes;
  }
  // Opens a ring of `bytes`, rounded up to whole blocks, in slots of kSlotBytes or kLongSlotBytes,
  // that passes nothing until set_filter(). The queue for frames that do not fit a slot may hold as
  // much again.
  static Result<RxRing> open(int ifindex, size_t bytes, size_t slot_bytes, Fanout& fanout);

  RxRing(RxRing&& other) noexcept;
  RxRing& operator=(RxRing&&) = delete;
  RxRing(const RxRing&) = delete;
  RxRing& operator=(const RxRing&) = delete;
  ~RxRing();

  [[nodiscard]] int fd() const { return fd_.get(); }
  [[nodiscard]] size_t bytes() const { return bytes_; }

  // When the next frame was queued, Unix time; 0 if there is none.
  [[nodiscard]] uint64_t next_time_ns() const;
  // Takes the next frame, if there is one. Its slot is ours until release(), so that several frames
  // can be looked at together.
  bool take(RxFrame& frame);
  // Gives the slots of all taken frames back to the kernel.
  void release();
  [[nodiscard]] size_t slots() const { return slots_; }
  [[nodiscard]] size_t taken() const { return taken_; }
  // Takes the copy that belongs to `frame` into `buffer` (kCopyBytes) and lets `frame` point there.
  // In the order of take(). False if the kernel gave none.
  bool read_copy(RxFrame& frame, uint8_t* buffer) const;

  // One without code takes off what there is.
  [[nodiscard]] Status set_filter(const Filter& filter) const;
  // Frames that the kernel dropped since the last call, because the ring was full.
  [[nodiscard]] uint32_t take_kernel_drops() const;
  // Clears the socket's pending error, ENETDOWN when the interface went down, which would keep it
  // ready for ever.
  void clear_error() const;

 private:
  RxRing(UniqueFd fd, uint8_t* map, size_t bytes, size_t slot_bytes);
  // The slot of the frame that comes `ahead` after the next one.
  [[nodiscard]] uint8_t* slot_ahead(size_t ahead) const;
  // The slot of the next frame, if there is one, and its status.
  [[nodiscard]] uint8_t* next(uint32_t& status) const;

  UniqueFd fd_;
  uint8_t* map_ = nullptr;
  size_t bytes_ = 0;
  size_t slot_bytes_ = 0;
  size_t slots_ = 0;
  // The next slot to release, and how many from there on are taken.
  size_t head_ = 0;
  size_t taken_ = 0;
};

}  // namespace mcfleet
