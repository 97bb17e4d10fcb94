#pragma once

#include <atomic>
#include <cstdint>
#include <optional>

#include "forwarder/host_policy.h"
#include "forwarder/neighbour.h"
#include "forwarder/transmit.h"

namespace mcfleet {

// Whether packets to one unicast address can leave as frames to the neighbour that the kernel would
// hand them to, in super-frames, rather than one by one through a raw socket. A raw socket is the
// way until the kernel has resolved the neighbour, which it does for what goes there.
//
// The control thread decides and follows the kernel's news; the worker reads.
class UnicastWay final {
 public:
  enum class Mode : uint8_t {
    // Through the raw socket: there are no neighbours.
    kRouted,
    // Through the raw socket that tells what became of packets.
    kTracked,
    // Through UDP sockets what can leave so, and the rest as kTracked.
    kSegments,
    // As frames to mac().
    kDirect,
    // The kernel has asked for the neighbour in vain.
    kUnreachable,
  };

  struct View {
    Mode mode;
    uint64_t mac;
  };

  explicit UnicastWay(const IpAddress& destination) : destination_(destination) {}
  UnicastWay(const UnicastWay&) = delete;
  UnicastWay& operator=(const UnicastWay&) = delete;

  // Reads the route again. `frames`: how frames leave through this interface; `header`: bytes of
  // their link-layer header, 0 where there are no neighbours. Control thread.
  void find_way(int ifindex, TransmitRequest request, Transmit frames, int header,
                HostPolicy policy);
  // Reads the neighbour again, and lets the worker know both. Control thread.
  void find_neighbour();
  // Takes news of a neighbour, if it is this one's. Control thread.
  void take(const Neighbour& neighbour);
  // Whose news matter; none if there is no one neighbour, or rules of the host may choose another.
  // Control thread.
  [[nodiscard]] const std::optional<IpAddress>& next_hop() const { return next_hop_; }
  // Whether packets may wait for a neighbour, so that a socket is needed that tells what became of
  // them. Control thread.
  [[nodiscard]] bool has_neighbours() const { return has_neighbours_; }
  // Of the route; 0: that of the device. Control thread.
  [[nodiscard]] uint32_t mtu() const { return mtu_; }
  // AF_INET or AF_INET6.
  [[nodiscard]] int family() const;
  // How packets leave, and why. Any thread.
  [[nodiscard]] Transmit transmit() const { return transmit_.load(std::memory_order_relaxed); }

  // Worker.
  [[nodiscard]] View view() const {
    const uint64_t packed = view_.load(std::memory_order_relaxed);
    return {static_cast<Mode>(packed >> 48), packed & 0xffffffffffff};
  }
  // True once after the neighbour went stale: then something must go through a raw socket, so
  // that the kernel asks whether it is still there. Worker.
  bool take_confirmation() {
    if (!confirm_.load(std::memory_order_relaxed)) return false;
    confirm_.store(false, std::memory_order_relaxed);
    return true;
  }

 private:
  // Where a neighbour may have to be asked for.
  void publish_tracked(Transmit transmit);
  void publish(Mode mode, uint64_t mac, Transmit transmit);

  const IpAddress destination_;
  std::optional<IpAddress> next_hop_;
  int ifindex_ = 0;
  // False of a device that carries bare IP packets.
  bool has_neighbours_ = false;
  uint32_t mtu_ = 0;
  // What speaks against sending directly; nothing if it can be done.
  std::optional<Transmit> obstacle_;
  Transmit direct_ = Transmit::kUnicastDevice;
  std::atomic<uint64_t> view_{0};
  std::atomic<Transmit> transmit_{Transmit::kPackets};
  std::atomic<bool> confirm_{false};
};

// What speaks against it for every neighbour; nothing if nothing does.
std::optional<Transmit> unicast_obstacle(TransmitRequest request, Transmit frames,
                                         HostPolicy policy, bool plain_route);

}  // namespace mcfleet
