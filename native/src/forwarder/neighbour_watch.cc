#include "forwarder/neighbour_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <utility>

#include "forwarder/threads.h"
#include "netlink/dump.h"

namespace mcfleet {
namespace {

using Clock = std::chrono::steady_clock;

// The kernel tells of no change of the policy.
constexpr std::chrono::milliseconds kPolicyInterval{2000};
// linux/rtnetlink.h has no RTMGRP_ for it.
constexpr unsigned kIpv6Rules = 1U << (RTNLGRP_IPV6_RULE - 1);
// News that come together are told together, so that many neighbours cost little.
constexpr int kSettleMs = 1;
// Ahead of every ordinary program.
constexpr int kNice = -15;

}  // namespace

Result<std::unique_ptr<NeighbourWatch>> NeighbourWatch::start(Listener listener) {
  auto route = netlink::open_route_socket(RTMGRP_NEIGH | RTMGRP_IPV4_ROUTE | RTMGRP_IPV4_RULE |
                                          RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_ROUTE |
                                          RTMGRP_IPV6_IFADDR | kIpv6Rules);
  if (!route.ok()) return route.error();
  UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return Error::from_errno("open an event descriptor");
  return std::unique_ptr<NeighbourWatch>(
      new NeighbourWatch(std::move(route.value()), std::move(stop), std::move(listener)));
}

NeighbourWatch::NeighbourWatch(UniqueFd route, UniqueFd stop, Listener listener)
    : route_(std::move(route)), stop_(std::move(stop)), listener_(std::move(listener)) {
  thread_ = start_thread("mcf-neighbours", [this] { run(); });
}

NeighbourWatch::~NeighbourWatch() {
  eventfd_write(stop_.get(), 1);
  thread_.join();
}

bool NeighbourWatch::read(std::vector<Neighbour>& neighbours) {
  std::array<uint8_t, 32768> buffer;
  bool only_neighbours = true;
  for (;;) {
    const ssize_t size = recv(route_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return only_neighbours;
    if (size < 0) {
      // ENOBUFS: some were lost.
      only_neighbours = false;
      if (errno == ENOBUFS || errno == EINTR) continue;
      return only_neighbours;
    }
    only_neighbours &=
        netlink::for_each_message(netlink::Bytes(buffer.data(), static_cast<size_t>(size)),
                                  [&](const netlink::Message& message) {
                                    const auto type = message.header.nlmsg_type;
                                    if (type != RTM_NEWNEIGH && type != RTM_DELNEIGH) {
                                      only_neighbours = false;
                                    } else if (const auto neighbour = parse_neighbour(
                                                   message.payload, type == RTM_DELNEIGH)) {
                                      neighbours.push_back(*neighbour);
                                    }
                                  });
  }
}

void NeighbourWatch::run() {
  // As the workers, where it may: until they hear that a neighbour is gone, they send to nobody.
  setpriority(PRIO_PROCESS, 0, kNice);
  std::array<pollfd, 2> waiting{pollfd{route_.get(), POLLIN, 0}, pollfd{stop_.get(), POLLIN, 0}};
  HostPolicies policies;
  Clock::time_point asked{};
  bool again = true;
  for (;;) {
    std::vector<Neighbour> neighbours;
    if (waiting[0].revents != 0 && !read(neighbours)) again = true;
    if (Clock::now() >= asked + kPolicyInterval) {
      const HostPolicies last = std::exchange(policies, read_host_policies());
      again |= policies != last;
      asked = Clock::now();
      listener_.tick();
    }
    if (again) {
      listener_.routes(policies);
    } else if (!neighbours.empty()) {
      listener_.neighbours(neighbours);
    }
    again = false;
    if (poll(&waiting[1], 1, kSettleMs) > 0) return;
    if (poll(waiting.data(), waiting.size(), static_cast<int>(kPolicyInterval.count())) <= 0) {
      waiting[0].revents = 0;
    }
  }
}

}  // namespace mcfleet
