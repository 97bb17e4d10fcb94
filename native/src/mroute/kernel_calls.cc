#include "mroute/kernel_calls.h"

#include <linux/membarrier.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <chrono>
#include <thread>

namespace mcfleet::mroute {

int KernelCalls::open_socket(int domain, int type, int protocol) const {
  return ::socket(domain, type, protocol);
}

int KernelCalls::set_option(int fd, int level, int name, const void* value, socklen_t size) const {
  return ::setsockopt(fd, level, name, value, size);
}

int KernelCalls::get_option(int fd, int level, int name, void* value, socklen_t* size) const {
  return ::getsockopt(fd, level, name, value, size);
}

void KernelCalls::wait_for_readers() const {
  // The kernel forwards a packet within one RCU read section, and this call waits for the end of
  // all of them (sys_membarrier, kernel/sched/membarrier.c).
  if (::syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) == 0) return;
  // A kernel with nohz_full refuses. No packet is worked on for so long.
  std::this_thread::sleep_for(std::chrono::seconds(1));
}

const KernelCalls& KernelCalls::real() {
  static const KernelCalls calls;
  return calls;
}

}  // namespace mcfleet::mroute
