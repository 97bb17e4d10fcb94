#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/counters.h"
#include "packet/parse.h"
#include "ring/segment_socket.h"

namespace mcfleet {

// UDP sockets of all receivers and workers together. What would need more leaves another way.
inline constexpr size_t kMostSegmentSockets = 1024;

// What one worker could not send through UDP sockets.
struct alignas(kCacheLine) SegmentCounters {
  // Packets that suited one, and left another way because there was none. Written by the worker.
  Counter packets;
  // Sockets that were asked for and did not fit: each once in every look for them. Control thread.
  Counter refused;
  // Those that the kernel did not give: another program has the port, or there are no descriptors.
  Counter failed;
};

// The UDP sockets through which one worker sends super-frames to one unicast address: one for each
// port that copies leave from. The worker asks for a socket when it first sees a port; the control
// thread opens it, if the port is one that it may take (LocalPorts), and there is room, and closes
// what was not used for a while. What has no socket leaves another way.
class SegmentWay final {
 public:
  static constexpr size_t kSockets = 4;
  // How long a socket that is not used keeps its port from others.
  static constexpr uint64_t kIdleNs = 10'000'000'000;
  // How long one is left alone that refused a super-frame as such: for an IPsec policy, or an
  // address that no socket sends from.
  static constexpr uint64_t kRefusedNs = 10'000'000'000;

  // Both outlive this.
  SegmentWay(RefusalCounters& refusals, SegmentCounters& counters)
      : refusals_(refusals), counters_(counters) {}
  SegmentWay(const SegmentWay&) = delete;
  SegmentWay& operator=(const SegmentWay&) = delete;

  // What is sent: a super-frame whose headers, rewritten, are at `ip`, and its payload elsewhere.
  struct Frame {
    const uint8_t* ip;
    const Datagram& datagram;
    std::span<const iovec> payload;
    uint64_t time_ns;
    // As TrackedSender::use().
    bool device_tells;
  };
  // Sends it, in as many messages as it needs, and accounts it. False: it has to leave another way,
  // and nothing is accounted. Worker.
  bool send(const Frame& frame, OutputCounters& counters);
  // Whether send() would try. If there is no socket, asks for one, and counts these packets as
  // sent without. Worker.
  bool serves(uint16_t port, uint32_t packets, uint64_t time_ns);

  // As TrackedSender. Worker.
  void settle();
  [[nodiscard]] bool settled() const;
  void forget(std::span<const OutputCounters* const> gone);

  // Opens the sockets that the worker asked for, those that it may, and up to `room`. How many
  // these are. Control thread.
  size_t open_wanted(int ifindex, int family, const LocalPorts& ports, size_t room);
  // Whether the worker has asked for one. Control thread.
  [[nodiscard]] bool wants() const { return wanted_[0].load(std::memory_order_relaxed) != 0; }
  // Sockets that are open. Any thread.
  [[nodiscard]] size_t open() const;
  // Closes those that were not used since this time; adds them to `retired`. Control thread.
  void close_unused_since(uint64_t time_ns, std::vector<std::unique_ptr<TrackedSocket>>& retired);

 private:
  struct Sender {
    // Control thread; `view` is what the worker sees of it.
    std::unique_ptr<TrackedSocket> socket;
    std::atomic<const TrackedSocket*> view{nullptr};
    std::atomic<uint64_t> used_ns{0};
    // Worker.
    TrackedSender tracked;
    uint64_t serial = 0;
    uint64_t refused_ns = 0;
    uint8_t type_of_service = 0;
  };

  struct Found {
    Sender* sender = nullptr;
    const TrackedSocket* socket = nullptr;
  };
  [[nodiscard]] Found find(uint16_t port) const;
  void want(uint16_t port);
  Sender* free_sender();

  RefusalCounters& refusals_;
  SegmentCounters& counters_;
  // Never taken away again, only their sockets.
  std::array<std::atomic<Sender*>, kSockets> view_{};
  std::array<std::unique_ptr<Sender>, kSockets> senders_;
  // Ports, the first ones seen since the control thread has last looked; 0: no more.
  std::array<std::atomic<uint16_t>, 2 * kSockets> wanted_{};
};

}  // namespace mcfleet
