#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>

#include "base/unique_fd.h"
#include "forwarder/link_facts.h"
#include "forwarder/transmit.h"
#include "forwarder/unicast_way.h"
#include "packet/ip_address.h"
#include "ring/tx_batch.h"
#include "ring/uring_sender.h"

namespace mcfleet {

// What a port sends through.
struct EgressSocket {
  UniqueFd fd;
  // If it is used.
  std::unique_ptr<UringSender> uring;
};

// One worker's way out of one interface, to groups or to one unicast address: a socket, a batch,
// and what is known of the link. The worker owns the batch; the control thread keeps socket and
// link up to date.
class EgressPort final {
 public:
  enum class Kind : uint8_t {
    // Whole frames to groups, through a packet socket.
    kFrames,
    // To one IPv4 unicast address: IP packets, which the kernel routes and resolves, through a raw
    // socket; or, where that comes to the same, frames through the port to groups.
    kPackets,
    // To one IPv6 unicast address, always through a raw socket.
    kIpv6Packets,
  };

  // The link as the worker sees it.
  struct Link {
    LinkState state;
    // Bytes of link-layer header; 0 also where the kernel routes.
    uint8_t header;
    uint32_t mtu;
    // Whether it takes several datagrams as one.
    bool super_frames;
  };

  // To groups.
  EgressPort(int ifindex, TransmitRequest request);
  // To a unicast address; `frames`: the port to groups of the same worker and interface.
  EgressPort(std::shared_ptr<EgressPort> frames, const IpAddress& destination);
  EgressPort(const EgressPort&) = delete;
  EgressPort& operator=(const EgressPort&) = delete;

  [[nodiscard]] int ifindex() const { return ifindex_; }
  [[nodiscard]] Kind kind() const { return kind_; }

  // Reads the link again and opens a socket where one is needed. Returns a socket that is no longer
  // used, to be closed when the worker has seen that. Control thread.
  [[nodiscard]] std::unique_ptr<EgressSocket> refresh();

  [[nodiscard]] Link link() const {
    const uint64_t packed = link_.load(std::memory_order_acquire);
    return {static_cast<LinkState>(packed & 0xff), static_cast<uint8_t>(packed >> 8 & 0xff),
            static_cast<uint32_t>(packed >> 32), sends_super_frames(unpack_transmit(packed))};
  }
  // How it sends.
  [[nodiscard]] Transmit transmit() const {
    return unicast_ ? unicast_->transmit() : unpack_transmit(link_.load(std::memory_order_relaxed));
  }
  // Address of the interface, in the low 48 bits.
  [[nodiscard]] uint64_t mac() const { return mac_.load(std::memory_order_relaxed); }

  // Of kPackets.
  UnicastWay& unicast() { return *unicast_; }
  EgressPort& frames() { return *frames_; }
  // As refresh(), of route and neighbour only. Control thread.
  void refresh_unicast(HostPolicy policy);

  TxBatch& batch() { return batch_; }
  // Sends the batch, or accounts it as lost. Worker.
  void flush();

  // Whether it is in the worker's list of ports with a batch to send, and which one comes next
  // there.
  bool pending = false;
  EgressPort* next_pending = nullptr;
  // Of kPackets: whether the last packet left as a frame, and when one was last sent to a neighbour
  // that does not answer. Worker.
  bool was_direct = false;
  uint64_t tried_ns = 0;

 private:
  static Transmit unpack_transmit(uint64_t packed) {
    return static_cast<Transmit>(packed >> 16 & 0xff);
  }
  Status open_socket();
  void publish(LinkState state, int header, uint32_t mtu);
  // How to send at this time.
  [[nodiscard]] Transmit choose() const;

  const int ifindex_;
  const Kind kind_;
  const TransmitRequest request_;
  // State, header, Transmit, MTU: the worker reads them as of one time.
  std::atomic<uint64_t> link_;
  std::atomic<uint64_t> mac_{0};
  // The worker's view of socket_.
  std::atomic<EgressSocket*> view_{nullptr};
  std::unique_ptr<EgressSocket> socket_;
  UringSupport uring_ = UringSupport::kReady;
  std::shared_ptr<EgressPort> frames_;
  std::optional<UnicastWay> unicast_;
  TxBatch batch_;
};

// The name under which a packet is counted that a link in this state does not carry.
DropReason link_drop_reason(LinkState state);

}  // namespace mcfleet
