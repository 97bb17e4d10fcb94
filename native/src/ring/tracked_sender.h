#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "base/result.h"
#include "base/unique_fd.h"
#include "ring/held_packets.h"
#include "ring/tx_batch.h"

namespace mcfleet {

// A socket for packets to one address whose neighbour the kernel may have to ask for. It reports
// each packet that is handed to the device's queue, and if asked for each that the device has taken
// from there (SO_TIMESTAMPING), and takes no more than waits for a neighbour at one time. Made and
// closed by the control thread, used by one worker.
struct TrackedSocket {
  UniqueFd fd;
  // No two have the same.
  uint64_t serial = 0;
  int send_buffer = 0;
  // There is room for the device's reports as well.
  bool has_room = false;
  // Of a UDP socket, the port that it sends from; 0: a raw socket.
  uint16_t port = 0;
};

// `mtu`: of the interface. As open_packet_sender() otherwise.
Result<TrackedSocket> open_tracked_socket(int ifindex, int family, uint32_t mtu);
// Has a socket report. `longest`: bytes of the longest message that it is given.
Result<TrackedSocket> track(UniqueFd fd, int ifindex, int family, uint32_t longest);

// Sends through TrackedSockets, one after the other, and finds out what became of the packets: what
// is given to the kernel while it asks for a neighbour leaves when that answers, or is dropped
// without a word when it does not, or when too much waits, or when it has waited and the device's
// queue is full. Worker; allocates only when it is made.
//
// What waits is charged to the socket. Once nothing is, what was not reported to have left is lost.
class TrackedSender final {
 public:
  // Sends through this socket from now on; null: through none. What was held for another one and is
  // not known to have left is lost. `device_tells`: its driver is said to report what leaves the
  // queue, and there is one; otherwise what is handed to the device counts as sent.
  void use(const TrackedSocket* socket, bool device_tells);
  // As HeldPackets::count_refusals().
  void count_refusals(RefusalCounters* refusals) { held_.count_refusals(refusals); }
  // As HeldPackets::forget().
  void forget(std::span<const OutputCounters* const> gone) { held_.forget(gone); }
  // Sends a message and, if it is taken, accounts it when it has left or is lost. If not, tells
  // why, and leaves it to the caller to account it with its whole datagram.
  std::optional<SendFailure> send(const msghdr& message, const TxAccount& account);

  // Accounts what is known by now.
  void settle();
  // Whether all is accounted.
  [[nodiscard]] bool settled() const { return held_.empty(); }

 private:
  void read_reports();
  // Whether the kernel has numbered a message that was refused with this error.
  [[nodiscard]] bool was_numbered(int error) const;
  // Asks for the reports of the device, or does without.
  void ask_device(bool ask);
  bool request_reports(int reports);
  void restart_numbers();
  // Whether another one can be held.
  bool make_room();
  int try_send(const msghdr& message);

  // Of no socket: serial 0.
  int fd_ = -1;
  uint64_t serial_ = 0;
  int send_buffer_ = 0;
  bool has_room_ = false;
  // A UDP socket.
  bool udp_ = false;
  // What the socket reports.
  HeldPackets::LeavesAt leaves_ = HeldPackets::LeavesAt::kQueue;
  // Messages since the reports were read.
  size_t unread_ = 0;
  // The neighbour answers: what fills the buffer is what waits for the device.
  bool wide_ = false;
  // A message was refused, and the kernel may have given it no number.
  bool uncertain_ = false;
  HeldPackets held_;
};

}  // namespace mcfleet
