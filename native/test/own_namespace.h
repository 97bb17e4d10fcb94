#pragma once

#include <linux/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/unique_fd.h"
#include "check.h"

// Tests of sockets have a network namespace of their own, with nothing but a loopback interface:
// what else runs on the machine neither sees nor disturbs them.

// As CMake expects it of a test that cannot run here.
constexpr int kSkipped = 77;
// The index of every namespace's first interface.
constexpr int kLoopback = 1;

// Says why not, if not. `loopback_mtu`: 0 for what the kernel gives it.
inline bool enter_own_namespace(int loopback_mtu = 0) {
  if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0) {
    std::printf("skipped: cannot make a network namespace: %s\n", std::strerror(errno));
    return false;
  }
  const mcfleet::UniqueFd fd(socket(AF_INET, SOCK_DGRAM, 0));
  ifreq request{};
  std::strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  CHECK(ioctl(fd.get(), SIOCSIFFLAGS, &request) == 0);
  if (loopback_mtu != 0) {
    request.ifr_mtu = loopback_mtu;
    CHECK(ioctl(fd.get(), SIOCSIFMTU, &request) == 0);
  }
  return true;
}
