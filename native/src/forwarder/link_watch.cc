#include "forwarder/link_watch.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstdint>

#include "forwarder/threads.h"
#include "netlink/attributes.h"

namespace mcfleet {
namespace {

bool tells_of_link_or_queue(uint16_t type) {
  return type == RTM_NEWLINK || type == RTM_DELLINK || type == RTM_NEWQDISC || type == RTM_DELQDISC;
}

constexpr int kLookAgainMs = 2000;

}  // namespace

Result<std::unique_ptr<LinkWatch>> LinkWatch::start(int attention, std::function<void()> changed,
                                                    std::function<bool()> look) {
  UniqueFd route(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE));
  if (!route.valid()) return Error::from_errno("open a route socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  // RTMGRP_TC brings classes, filters and actions as well.
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

bool LinkWatch::read() const {
  // An interface with all its attributes; what is longer is cut off and taken for a change.
  std::array<uint8_t, 8192> buffer;
  bool matters = false;
  for (;;) {
    const ssize_t size = recv(route_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    // ENOBUFS: some were lost.
    if (size < 0) return matters || errno == ENOBUFS;
    const netlink::Bytes messages(buffer.data(), static_cast<size_t>(size));
    const bool whole = netlink::for_each_message(messages, [&](const netlink::Message& message) {
      matters |= tells_of_link_or_queue(message.header.nlmsg_type);
    });
    matters |= !whole;
  }
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
    const bool asked = waiting[2].revents != 0;
    if (asked) {
      eventfd_t ignored = 0;
      eventfd_read(attention_, &ignored);
    }
    const bool changed = (waiting[0].revents != 0 && read()) || asked;
    if (changed) changed_();
    if (changed || again) again = look_();
  }
}

}  // namespace mcfleet
