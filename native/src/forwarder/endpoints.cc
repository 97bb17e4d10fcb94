#include "forwarder/endpoints.h"

#include <netinet/in.h>
#include <sys/socket.h>

#include "ring/packet_socket.h"

namespace mcfleet {
namespace {

// An invalid descriptor if it cannot be had.
UniqueFd open_silent_socket(const Endpoint& endpoint) {
  UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid() || !attach_filter(fd.get(), drop_all_filter()).ok()) return {};
  // The address may come later than the relay. On other interfaces the port stays free.
  if (!set_option(fd.get(), IPPROTO_IP, IP_FREEBIND, 1, "IP_FREEBIND").ok() ||
      !set_option(fd.get(), SOL_SOCKET, SO_BINDTOIFINDEX, endpoint.ifindex, "SO_BINDTOIFINDEX")
           .ok()) {
    return {};
  }
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(endpoint.port);
  address.sin_addr.s_addr = htonl(endpoint.address);
  // Without SO_REUSEADDR: nothing is taken away from a program that listens already.
  if (bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) return {};
  return fd;
}

}  // namespace

void Endpoints::hold(const Endpoint& endpoint) {
  Held& held = held_[endpoint];
  held.references++;
  if (!held.fd.valid()) held.fd = open_silent_socket(endpoint);
}

void Endpoints::release(const Endpoint& endpoint) {
  const auto found = held_.find(endpoint);
  if (found != held_.end() && --found->second.references == 0) held_.erase(found);
}

}  // namespace mcfleet
