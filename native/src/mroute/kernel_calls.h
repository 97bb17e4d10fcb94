#pragma once

#include <sys/socket.h>

namespace mcfleet::mroute {

// The calls that set up multicast routing. A test derives from it and lets one fail as a kernel
// would that its machine does not have.
class KernelCalls {
 public:
  virtual ~KernelCalls() = default;
  // As socket(2).
  [[nodiscard]] virtual int open_socket(int domain, int type, int protocol) const;
  // As setsockopt(2). Those of multicast routing wait for the kernel's rtnl lock.
  [[nodiscard]] virtual int set_option(int fd, int level, int name, const void* value,
                                       socklen_t size) const;
  // As getsockopt(2).
  [[nodiscard]] virtual int get_option(int fd, int level, int name, void* value,
                                       socklen_t* size) const;
  // Waits until no packet is forwarded any more by what a route said before the call. Takes tens
  // of milliseconds.
  virtual void wait_for_readers() const;

  // This machine's kernel.
  [[nodiscard]] static const KernelCalls& real();
};

}  // namespace mcfleet::mroute
