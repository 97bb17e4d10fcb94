#pragma once

#include <string>
#include <vector>

#include "mroute/multicast_table.h"

namespace mcfleet::mroute {

struct SocketHolder final {
  int pid = 0;
  std::string command;
};

// Which processes hold sockets that can own a multicast routing table of the calling thread's
// namespace; the kernel does not tell which of them owns which. Without `except` itself (a
// descriptor, or -1). Empty if none may be seen: /proc shows other users' only to root.
[[nodiscard]] std::vector<SocketHolder> find_table_owners(Family family, int except);

}  // namespace mcfleet::mroute
