#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "base/unique_fd.h"
#include "ring/held_packets.h"

namespace mcfleet {

// A socket for packets to one address whose neighbour the kernel may have to ask for. It reports
// each packet that leaves for the device (SO_TIMESTAMPING), and takes no more than waits for a
// neighbour at one time. Made and closed by the control thread, used by one worker.
struct TrackedSocket {
  UniqueFd fd;
  // No two have the same.
  uint64_t serial = 0;
  int send_buffer = 0;
};

// `mtu`: of the interface. As open_packet_sender() otherwise.
Result<TrackedSocket> open_tracked_socket(int ifindex, int family, uint32_t mtu);

// Sends through TrackedSockets, one after the other, and finds out what became of the packets: what
// is given to the kernel while it asks for a neighbour leaves when that answers, or is dropped
// without a word when it does not, or when too much waits. Worker; allocates only when it is made.
//
// What waits is charged to the socket. Once nothing is, what was not reported to have left is lost.
class TrackedSender final {
 public:
  // Sends through this socket from now on; null: through none. What was held for another one and is
  // not known to have left is lost.
  void use(const TrackedSocket* socket);
  // Sends a message and, if it is taken, accounts it when it has left or is lost. If not, gives the
  // errno, and leaves it to the caller to account it with its whole datagram. EAGAIN: the
  // neighbour's queue is full.
  int send(const msghdr& message, const TxAccount& account);

  // Accounts what is known by now.
  void settle();
  // Whether all is accounted.
  [[nodiscard]] bool settled() const { return held_.empty(); }

 private:
  void read_reports();
  void restart_numbers();
  int try_send(const msghdr& message);

  // Of no socket: serial 0.
  int fd_ = -1;
  uint64_t serial_ = 0;
  int send_buffer_ = 0;
  // The neighbour answers: what fills the buffer is what waits for the device.
  bool wide_ = false;
  // A message was refused, and the kernel may have given it no number.
  bool uncertain_ = false;
  HeldPackets held_;
};

}  // namespace mcfleet
