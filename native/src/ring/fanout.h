#pragma once

#include <linux/filter.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/result.h"

namespace mcfleet {

// A group of packet sockets on one interface that share its frames: each frame goes to one of them,
// which a program chooses (PACKET_FANOUT_CBPF). When members come, nothing is lost and nothing
// comes twice.
class Fanout final {
 public:
  // Lets a socket in, which is bound: the first one makes the group. Members are numbered in the
  // order in which their sockets were made, and in which they should be let in, for the kernel
  // numbers them anew when the interface was down.
  [[nodiscard]] Status join(int fd);
  // Replaces the program of the group that `fd` is in. A number behind the last member begins again
  // at the first; without a program all goes to the first.
  [[nodiscard]] static Status steer(int fd, const std::vector<sock_filter>& program);

 private:
  // 0: no group yet.
  int arguments_ = 0;
};

// A program that spreads frames over `workers` members by their destination address, and those
// whose IP packet has more than `longest` bytes over as many members behind them; `longest` 0:
// over the same. One worker needs one for long frames only.
//
// The destination alone, so that all that belongs together stays in order on one worker: fragments,
// of which only the first has ports, and packets that a loop brings back from another source.
std::vector<sock_filter> compile_steering(size_t workers, size_t longest);

}  // namespace mcfleet
