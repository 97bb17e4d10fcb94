#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "base/unique_fd.h"
#include "forwarder/link_facts.h"
#include "forwarder/queue_safety.h"
#include "forwarder/segment_way.h"
#include "forwarder/transmit.h"
#include "forwarder/unicast_way.h"
#include "packet/ip_address.h"
#include "ring/tracked_sender.h"
#include "ring/tx_batch.h"
#include "ring/uring_sender.h"

namespace mcfleet {

// What a port sends through.
struct EgressSocket {
  UniqueFd fd;
  // If it is used.
  std::unique_ptr<UringSender> uring;
};

// What ports send through no longer, to be closed when the workers have seen that.
struct RetiredSockets {
  std::vector<std::unique_ptr<EgressSocket>> plain;
  std::vector<std::unique_ptr<TrackedSocket>> tracked;
};

// One worker's way out of one interface, to groups or to one unicast address: a socket, a batch,
// and what is known of the link. The worker owns the batch; the control thread keeps socket and
// link up to date.
class EgressPort final {
 public:
  enum class Kind : uint8_t {
    // Whole frames to groups, through a packet socket.
    kFrames,
    // To one unicast address: IP packets, which the kernel routes and resolves, through a raw
    // socket; or, where that comes to the same, frames through the port to groups.
    kPackets,
  };

  // Of kPackets: where a packet goes.
  enum class Path : uint8_t {
    // The raw socket.
    kPlain,
    // A raw socket that tells what became of packets that wait for the neighbour.
    kTracked,
    // The port to groups, as a frame to the neighbour.
    kFrames,
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

  // To groups. `refusals` is that of the interface, and outlives the port.
  EgressPort(int ifindex, TransmitRequest request, RefusalCounters& refusals);
  // To a unicast address; `frames`: the port to groups of the same worker and interface. `segments`
  // is the worker's, and outlives the port.
  EgressPort(std::shared_ptr<EgressPort> frames, const IpAddress& destination,
             SegmentCounters& segments);
  EgressPort(const EgressPort&) = delete;
  EgressPort& operator=(const EgressPort&) = delete;

  [[nodiscard]] int ifindex() const { return ifindex_; }
  [[nodiscard]] Kind kind() const { return kind_; }

  // Reads the link again and opens sockets where they are needed. Adds those that are no longer
  // used to `retired`. Control thread.
  void refresh(const UnsafeQueues& queues, RetiredSockets& retired);

  [[nodiscard]] Link link() const {
    const uint64_t packed = link_.load(std::memory_order_acquire);
    return {static_cast<LinkState>(packed & 0xff), static_cast<uint8_t>(packed >> 8 & 0xff),
            static_cast<uint32_t>(packed >> 32), sends_super_frames(unpack_transmit(packed))};
  }
  // Whether packets get to where it leads, as far as the kernel knows.
  [[nodiscard]] LinkState state() const;
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
  void refresh_unicast(const HostPolicies& policies);

  TxBatch& batch() { return batch_; }
  // Sends the batch, or accounts it as lost. Worker.
  void flush();
  // Of kPackets: sends by another path from now on, after what is in the batch. Worker.
  void take_path(Path path);
  // Of kPackets: as SegmentWay::serves() and send(), behind what is in the batch. Worker.
  bool serves_segments(uint16_t port, uint32_t packets, uint64_t time_ns) {
    return segments_->serves(port, packets, time_ns);
  }
  bool send_segments(const uint8_t* ip, const Datagram& datagram, std::span<const iovec> payload,
                     uint64_t time_ns, OutputCounters& counters);
  SegmentWay& segments() { return *segments_; }
  // Accounts what is known by now of the packets that wait for the neighbour. Worker.
  void settle();
  // Whether all is accounted that was sent. Worker.
  [[nodiscard]] bool settled() const {
    return tracked_.settled() && (segments_ == nullptr || segments_->settled());
  }

  // Counters of outputs that are gone, sorted.
  using GoneCounters = std::vector<const OutputCounters*>;
  // Has the worker account nothing there any more. `gone` must stay until has_forgotten(). Control
  // thread.
  void ask_to_forget(const GoneCounters& gone) {
    forgotten_.store(false, std::memory_order_relaxed);
    forget_.store(&gone, std::memory_order_release);
  }
  // Whether it does so. Control thread.
  [[nodiscard]] bool has_forgotten() {
    if (forgotten_.load(std::memory_order_acquire)) return true;
    // It holds nothing any more, and of those that are gone it gets nothing new.
    if (unsettled.load(std::memory_order_acquire)) return false;
    if (forget_.exchange(nullptr, std::memory_order_acq_rel) == nullptr) {
      // The worker has taken it up just now.
      return forgotten_.load(std::memory_order_acquire);
    }
    forgotten_.store(true, std::memory_order_relaxed);
    return true;
  }

  // Whether it is in the worker's list of ports with a batch to send, and which one comes next
  // there.
  bool pending = false;
  EgressPort* next_pending = nullptr;
  // Whether it is in the worker's list of ports that are not settled: then it must stay, and so
  // must the counters of its outputs. Written by the worker.
  std::atomic<bool> unsettled{false};
  EgressPort* next_unsettled = nullptr;
  // Of kPackets: when one was last sent to a neighbour that does not answer. Worker.
  uint64_t tried_ns = 0;

 private:
  static Transmit unpack_transmit(uint64_t packed) {
    return static_cast<Transmit>(packed >> 16 & 0xff);
  }
  [[nodiscard]] Status open_sockets(uint32_t mtu);
  void close_sockets(RetiredSockets& retired);
  Status open_plain();
  Status open_tracked(uint32_t mtu);
  void publish(LinkState state, int header, uint32_t mtu);
  // How to send at this time.
  [[nodiscard]] Transmit choose() const;

  const int ifindex_;
  const Kind kind_;
  const TransmitRequest request_;
  RefusalCounters& refusals_;
  // State, header, Transmit, MTU: the worker reads them as of one time.
  std::atomic<uint64_t> link_;
  std::atomic<uint64_t> mac_{0};
  // Control thread.
  uint32_t device_mtu_ = 0;
  bool queue_unsafe_ = false;
  // The worker's view of socket_.
  std::atomic<EgressSocket*> view_{nullptr};
  std::unique_ptr<EgressSocket> socket_;
  // The same of kPackets' other socket.
  std::atomic<const TrackedSocket*> tracked_view_{nullptr};
  std::unique_ptr<TrackedSocket> tracked_socket_;
  // Whether that one can tell what becomes of packets in the device's queue.
  std::atomic<bool> device_tells_{false};
  UringSupport uring_ = UringSupport::kReady;
  std::shared_ptr<EgressPort> frames_;
  std::optional<UnicastWay> unicast_;
  TxBatch batch_;
  Path path_ = Path::kPlain;
  // What the worker is asked to forget, until it takes that up; and whether it has.
  std::atomic<const GoneCounters*> forget_{nullptr};
  std::atomic<bool> forgotten_{true};
  TrackedSender tracked_;
  // Of kPackets.
  std::unique_ptr<SegmentWay> segments_;
};

// The name under which a packet is counted that a link in this state does not carry.
DropReason link_drop_reason(LinkState state);

}  // namespace mcfleet
