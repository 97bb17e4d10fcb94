#include "forwarder/link_watch.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>

#include "forwarder/threads.h"

namespace mcfleet {
namespace {

constexpr int kLookAgainMs = 2000;

}  // namespace

Result<std::unique_ptr<LinkWatch>> LinkWatch::start(int attention, std::function<void()> changed,
                                                    std::function<bool()> look) {
  UniqueFd route(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!route.valid()) return Error::from_errno("open a route socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = RTMGRP_LINK | RTMGRP_TC;
  if (bind(route.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) {
    return Error::from_errno("listen for interface changes");
  }
  UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return Error::from_errno("open an event descriptor");
  return std::unique_ptr<LinkWatch>(new LinkWatch(std::move(route), attention, std::move(stop),
                                                  std::move(changed), std::move(look)));
}

LinkWatch::LinkWatch(UniqueFd route, int attention, UniqueFd stop, std::function<void()> changed,
                     std::function<bool()> look)
    : route_(std::move(route)),
      attention_(attention),
      stop_(std::move(stop)),
      changed_(std::move(changed)),
      look_(std::move(look)) {
  thread_ = start_thread("mcf-links", [this] { run(); });
}

LinkWatch::~LinkWatch() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

void LinkWatch::run() {
  std::array<pollfd, 3> waiting{pollfd{route_.get(), POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0},
                                pollfd{attention_, POLLIN, 0}};
  bool again = false;
  for (;;) {
    const int events = poll(waiting.data(), waiting.size(), again ? kLookAgainMs : -1);
    if (events < 0) continue;
    if (events == 0) {
      again = look_();
      continue;
    }
    if (waiting[1].revents != 0) return;
    if (waiting[2].revents != 0) {
      eventfd_t ignored = 0;
      eventfd_read(attention_, &ignored);
    }
    // What they say does not matter, nor that some were lost (ENOBUFS): the listener reads the
    // present state.
    std::array<uint8_t, 8192> discarded;
    while (recv(route_.get(), discarded.data(), discarded.size(), MSG_DONTWAIT) >= 0) {
    }
    changed_();
    again = look_();
  }
}

}  // namespace mcfleet
