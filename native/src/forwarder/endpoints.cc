#include "forwarder/endpoints.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>

#include "ring/packet_socket.h"

namespace mcfleet {
namespace {

Status set_options(int fd, const Endpoint& endpoint) {
  if (Status status = attach_filter(fd, drop_all_filter()); !status.ok()) return status;
  // On other interfaces the port stays free.
  if (Status status =
          set_option(fd, SOL_SOCKET, SO_BINDTOIFINDEX, endpoint.ifindex, "SO_BINDTOIFINDEX");
      !status.ok()) {
    return status;
  }
  // The address may come later than the relay.
  if (endpoint.address.is_ipv4()) return set_option(fd, IPPROTO_IP, IP_FREEBIND, 1, "IP_FREEBIND");
  return set_option(fd, IPPROTO_IPV6, IPV6_FREEBIND, 1, "IPV6_FREEBIND");
}

// Without SO_REUSEADDR: nothing is taken away from a program that listens already.
int bind_to(int fd, const Endpoint& endpoint) {
  if (endpoint.address.is_ipv4()) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(endpoint.port);
    address.sin_addr.s_addr = htonl(endpoint.address.ipv4());
    return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  }
  sockaddr_in6 address{};
  address.sin6_family = AF_INET6;
  address.sin6_port = htons(endpoint.port);
  endpoint.address.write_ipv6(address.sin6_addr.s6_addr);
  // Link-local addresses mean something on an interface only.
  address.sin6_scope_id = static_cast<uint32_t>(endpoint.ifindex);
  return bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
}

Result<UniqueFd> open_silent_socket(const Endpoint& endpoint) {
  const int family = endpoint.address.is_ipv4() ? AF_INET : AF_INET6;
  UniqueFd fd(socket(family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return Error::from_errno("open a UDP socket");
  if (Status status = set_options(fd.get(), endpoint); !status.ok()) return status.error();
  if (bind_to(fd.get(), endpoint) != 0) return Error::from_errno("bind a UDP socket");
  return fd;
}

}  // namespace

void Endpoints::Held::open(const Endpoint& endpoint) {
  Result<UniqueFd> opened = open_silent_socket(endpoint);
  error = opened.ok() ? 0 : opened.error().code;
  if (opened.ok()) fd = std::move(opened.value());
}

bool Endpoints::hold(const Endpoint& endpoint) {
  const std::lock_guard lock(mutex_);
  Held& held = held_[endpoint];
  held.references++;
  if (!held.fd.valid()) held.open(endpoint);
  return held.fd.valid();
}

bool Endpoints::retry() {
  const std::lock_guard lock(mutex_);
  bool missing = false;
  for (auto& [endpoint, held] : held_) {
    if (!held.fd.valid()) held.open(endpoint);
    missing |= !held.fd.valid();
  }
  return missing;
}

Endpoints::State Endpoints::state(const Endpoint& endpoint) const {
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(endpoint);
  if (found != held_.end() && found->second.fd.valid()) return State::kHeld;
  const bool in_use = found != held_.end() && found->second.error == EADDRINUSE;
  return in_use ? State::kInUse : State::kRefused;
}

void Endpoints::release(const Endpoint& endpoint) {
  const std::lock_guard lock(mutex_);
  const auto found = held_.find(endpoint);
  if (found != held_.end() && --found->second.references == 0) held_.erase(found);
}

}  // namespace mcfleet
