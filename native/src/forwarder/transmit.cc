#include "forwarder/transmit.h"

#include "base/kernel_release.h"

namespace mcfleet {
namespace {

Transmit choose_uring(UringSupport support) {
  switch (support) {
    case UringSupport::kReady:
      return Transmit::kFramesUring;
    case UringSupport::kForbidden:
      return Transmit::kFramesUringForbidden;
    case UringSupport::kTooOld:
      return Transmit::kFramesUringTooOld;
    case UringSupport::kFailed:
      break;
  }
  return Transmit::kFramesUringFailed;
}

const char* plain_reason(Transmit transmit) {
  switch (transmit) {
    case Transmit::kGsoDevice:
      return "super-frames through a packet socket; the device cuts them (tx-udp-segmentation)";
    case Transmit::kGsoKernel:
      return "super-frames through a packet socket; the kernel cuts them, for the device's "
             "tx-udp-segmentation is off";
    case Transmit::kFramesAsked:
      return "frame by frame through a packet socket, as asked for by --transmit";
    case Transmit::kFramesOldKernel:
      return "frame by frame through a packet socket; super-frames need Linux 6.2";
    case Transmit::kFramesQueue:
      return "frame by frame through a packet socket, for a queue discipline of the interface or "
             "of "
             "a device below may lose a part of a super-frame and tell success";
    case Transmit::kFramesUring:
      return "frame by frame through a packet socket and io_uring, as asked for by --transmit";
    case Transmit::kFramesUringForbidden:
      return "frame by frame through a packet socket; io_uring is asked for by --transmit and "
             "forbidden here (kernel.io_uring_disabled, or the seccomp profile of a container)";
    case Transmit::kFramesUringTooOld:
      return "frame by frame through a packet socket; io_uring is asked for by --transmit and "
             "needs "
             "Linux 6.1";
    case Transmit::kFramesUringFailed:
      return "frame by frame through a packet socket; io_uring is asked for by --transmit and "
             "could "
             "not be set up (memory or descriptors)";
    case Transmit::kUnicastDevice:
      return "super-frames to the link-layer address of a unicast receiver or its gateway; the "
             "device cuts them (tx-udp-segmentation)";
    case Transmit::kUnicastKernel:
      return "super-frames to the link-layer address of a unicast receiver or its gateway; the "
             "kernel cuts them, for the device's tx-udp-segmentation is off";
    case Transmit::kUnicastQueue:
      return "frame by frame to the link-layer address of a unicast receiver or its gateway, for a "
             "queue discipline of the interface or of a device below may lose a part of a "
             "super-frame and tell success";
    case Transmit::kUnicastUdp:
      return "super-frames to unicast receivers through UDP sockets (UDP_SEGMENT), so that the "
             "host's nftables or iptables apply, and packet by packet through a raw socket what "
             "cannot leave so, such as IPv4 without keepDuplicates; --transmit gso passes them by";
    case Transmit::kPacketsAsked:
      return "packet by packet to unicast receivers through a raw socket, as asked for by "
             "--transmit";
    case Transmit::kPacketsNoUring:
      return "packet by packet to unicast receivers through a raw socket; io_uring, which "
             "--transmit "
             "asks for, is for groups";
    case Transmit::kPacketsPolicy:
      return "packet by packet to unicast receivers through a raw socket, so that the host's "
             "nftables, iptables, IPsec policies or routing rules apply; --transmit gso passes "
             "them "
             "by";
    case Transmit::kPacketsPolicyUnknown:
      return "packet by packet to unicast receivers through a raw socket: without CAP_NET_ADMIN "
             "the "
             "kernel does not tell whether the host has nftables or IPsec policies; --transmit gso "
             "passes them by";
    case Transmit::kPacketsRoute:
      return "packet by packet to unicast receivers through a raw socket: the route has several "
             "next hops, a tunnel or an MTU of its own, or leads to no other host";
    case Transmit::kPacketsUnresolved:
      return "packet by packet to unicast receivers through a raw socket, until the kernel has "
             "resolved the receiver's or gateway's link-layer address";
    case Transmit::kPackets:
      return "packet by packet to unicast receivers through a raw socket; super-frames need Linux "
             "6.2";
  }
  return "";
}

}  // namespace

Transmit choose_transmit(const TransmitFacts& facts) {
  if (facts.request == TransmitRequest::kSendmmsg) return Transmit::kFramesAsked;
  if (facts.request == TransmitRequest::kIoUring) return choose_uring(facts.uring);
  if (!facts.kernel_takes_super_frames) return Transmit::kFramesOldKernel;
  if (facts.queue_unsafe) return Transmit::kFramesQueue;
  return facts.device_segments ? Transmit::kGsoDevice : Transmit::kGsoKernel;
}

bool falls_short(TransmitRequest request, Transmit transmit) {
  switch (transmit) {
    case Transmit::kFramesUringForbidden:
    case Transmit::kFramesUringTooOld:
    case Transmit::kFramesUringFailed:
      return true;
    case Transmit::kFramesOldKernel:
      return request == TransmitRequest::kGso;
    default:
      return false;
  }
}

const char* transmit_name(Transmit transmit) {
  if (transmit == Transmit::kFramesUring) return "io_uring";
  const bool unicast = transmit == Transmit::kUnicastDevice ||
                       transmit == Transmit::kUnicastKernel || transmit == Transmit::kUnicastUdp;
  return unicast || sends_super_frames(transmit) ? "gso" : "sendmmsg";
}

const char* transmit_code(Transmit transmit) {
  switch (transmit) {
    case Transmit::kGsoDevice:
    case Transmit::kUnicastDevice:
      return "gso_device";
    case Transmit::kGsoKernel:
    case Transmit::kUnicastKernel:
      return "gso_kernel";
    case Transmit::kFramesAsked:
    case Transmit::kPacketsAsked:
      return "sendmmsg_requested";
    case Transmit::kFramesOldKernel:
    case Transmit::kPackets:
      return "sendmmsg_kernel_too_old";
    case Transmit::kFramesQueue:
    case Transmit::kUnicastQueue:
      return "sendmmsg_queue_discipline";
    case Transmit::kFramesUring:
      return "io_uring_requested";
    case Transmit::kFramesUringForbidden:
      return "sendmmsg_io_uring_forbidden";
    case Transmit::kFramesUringTooOld:
      return "sendmmsg_io_uring_too_old";
    case Transmit::kFramesUringFailed:
      return "sendmmsg_io_uring_failed";
    case Transmit::kUnicastUdp:
      return "gso_host_policy";
    case Transmit::kPacketsNoUring:
      return "sendmmsg_unicast";
    case Transmit::kPacketsPolicy:
      return "sendmmsg_host_policy";
    case Transmit::kPacketsPolicyUnknown:
      return "sendmmsg_host_policy_unknown";
    case Transmit::kPacketsRoute:
      return "sendmmsg_route";
    case Transmit::kPacketsUnresolved:
      return "sendmmsg_unresolved";
  }
  return "";
}

std::string transmit_reason(Transmit transmit, std::string_view queue) {
  std::string reason = plain_reason(transmit);
  if (!avoids_queue(transmit) || queue.empty()) return reason;
  return reason.append(": ").append(queue);
}

std::optional<TransmitRequest> read_transmit_request(std::string_view text) {
  if (text == "auto") return TransmitRequest::kAuto;
  if (text == "gso") return TransmitRequest::kGso;
  if (text == "sendmmsg") return TransmitRequest::kSendmmsg;
  if (text == "io_uring") return TransmitRequest::kIoUring;
  return std::nullopt;
}

bool kernel_takes_super_frames() {
  return kernel_is_since(6, 2);
}

}  // namespace mcfleet
