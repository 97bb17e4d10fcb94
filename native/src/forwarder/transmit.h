#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ring/uring_sender.h"

namespace mcfleet {

// What the operator asks for.
enum class TransmitRequest : uint8_t { kAuto, kGso, kSendmmsg, kIoUring };

// How an output sends, and why that way.
enum class Transmit : uint8_t {
  kGsoDevice,
  kGsoKernel,
  kFramesAsked,
  kFramesOldKernel,
  // A queue discipline of the interface may lose a part of a super-frame and tell success.
  kFramesQueue,
  kFramesUring,
  // As io_uring was asked for, and cannot be had.
  kFramesUringForbidden,
  kFramesUringTooOld,
  kFramesUringFailed,
  // To a unicast address: to the neighbour, and cut by the device or the kernel.
  kUnicastDevice,
  kUnicastKernel,
  // To a unicast address: to the neighbour, one by one, as kFramesQueue.
  kUnicastQueue,
  // To a unicast address, through UDP sockets, so that the host's filters apply.
  kUnicastUdp,
  // To a unicast address, through a raw socket: as asked for; since io_uring, which is asked for,
  // is for groups; for the host's policy; while the neighbour is not resolved; since frames to
  // groups are no super-frames either.
  kPacketsAsked,
  kPacketsNoUring,
  kPacketsPolicy,
  kPacketsPolicyUnknown,
  kPacketsRoute,
  kPacketsUnresolved,
  kPackets,
};

struct TransmitFacts {
  TransmitRequest request = TransmitRequest::kAuto;
  // The kernel takes UDP super-frames from packet sockets.
  bool kernel_takes_super_frames = false;
  // The device cuts them (tx-udp-segmentation).
  bool device_segments = false;
  // A queue discipline of the interface may lose a part of a super-frame (UnsafeQueues).
  bool queue_unsafe = false;
  // Where it is asked for.
  UringSupport uring = UringSupport::kReady;
};

// For frames to groups; UnicastWay chooses for unicast.
Transmit choose_transmit(const TransmitFacts& facts);

// Whether this takes the place of what is asked for, because that cannot be had on this host.
bool falls_short(TransmitRequest request, Transmit transmit);

// Whether frames leave as super-frames.
constexpr bool sends_super_frames(Transmit transmit) {
  return transmit == Transmit::kGsoDevice || transmit == Transmit::kGsoKernel;
}
// Whether they leave one by one because of a queue discipline.
constexpr bool avoids_queue(Transmit transmit) {
  return transmit == Transmit::kFramesQueue || transmit == Transmit::kUnicastQueue;
}
// Stable name: "gso", "io_uring" or "sendmmsg".
const char* transmit_name(Transmit transmit);
// Stable code of both way and reason; native/forwarder.ts lists them.
const char* transmit_code(Transmit transmit);
// For people. `queue`: of what avoids_queue(), the kind of the queue discipline.
std::string transmit_reason(Transmit transmit, std::string_view queue = {});

// "auto", "gso", "sendmmsg" or "io_uring".
std::optional<TransmitRequest> read_transmit_request(std::string_view text);

// Whether this kernel takes VIRTIO_NET_HDR_GSO_UDP_L4: Linux 6.2 and later.
bool kernel_takes_super_frames();

}  // namespace mcfleet
