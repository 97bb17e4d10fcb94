#include "netlink/watch.h"

#include <linux/rtnetlink.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <chrono>

#include "netlink/dump.h"

namespace mcfleet::netlink {

namespace {

// One `ip` command leads to several notifications: wait until none came for so long ...
constexpr int kQuietMs = 5;
// ... but not longer than this, so that a storm does not postpone the report for ever.
constexpr auto kLongestMerge = std::chrono::milliseconds(50);
constexpr int kRetryMs = 200;

// Empties the socket; contents do not matter. ENOBUFS means that notifications were lost, which is
// answered by the same dump.
void drain(int socket) {
  std::array<char, 8192> buffer;
  while (::recv(socket, buffer.data(), buffer.size(), MSG_DONTWAIT) >= 0 || errno == ENOBUFS ||
         errno == EINTR) {
  }
}

}  // namespace

Result<std::unique_ptr<InterfaceWatch>> InterfaceWatch::start(Listener listener) {
  auto notifications = open_route_socket(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
  if (!notifications) return notifications.error();
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return Error::from_errno("eventfd");
  return std::unique_ptr<InterfaceWatch>(
      new InterfaceWatch(std::move(notifications.value()), std::move(stop), std::move(listener)));
}

InterfaceWatch::InterfaceWatch(UniqueFd notifications, UniqueFd stop, Listener listener)
    : notifications_(std::move(notifications)),
      stop_(std::move(stop)),
      listener_(std::move(listener)),
      thread_([this] { run(); }) {}

InterfaceWatch::~InterfaceWatch() {
  // Cannot fail: the counter of an eventfd written once is far from its limit.
  (void)::eventfd_write(stop_.get(), 1);
  thread_.join();
}

// False once the watch is to stop. A negative timeout waits for ever.
bool InterfaceWatch::wait(int timeout_ms, bool& notified) {
  std::array<pollfd, 2> sources{{{stop_.get(), POLLIN, 0}, {notifications_.get(), POLLIN, 0}}};
  const int ready = ::poll(sources.data(), sources.size(), timeout_ms);
  notified = ready > 0 && sources[1].revents != 0;
  return ready <= 0 || sources[0].revents == 0;
}

// Takes what belongs to the same change.
void InterfaceWatch::settle() {
  const auto end = std::chrono::steady_clock::now() + kLongestMerge;
  bool notified = true;
  while (notified && std::chrono::steady_clock::now() < end) {
    drain(notifications_.get());
    if (!wait(kQuietMs, notified)) return;
  }
}

void InterfaceWatch::run() {
  std::vector<InterfaceFacts> last;
  bool reported = false;
  bool failing = false;
  for (;;) {
    auto found = dump_interfaces();
    if (found) {
      failing = false;
      if (!reported || found.value() != last) {
        last = found.value();
        reported = true;
        listener_.changed(std::move(found.value()));
      }
    } else if (!failing) {
      failing = true;  // told once, not five times a second
      listener_.failed(found.error());
    }
    bool notified = false;
    if (!wait(failing ? kRetryMs : -1, notified)) return;
    if (notified) settle();
    if (!wait(0, notified)) return;
  }
}

}  // namespace mcfleet::netlink
