#include "netlink/dump.h"

#include <sys/socket.h>

#include <algorithm>
#include <map>

#include "netlink/parse.h"

namespace mcfleet::netlink {

namespace {

// The kernel fills dump datagrams up to 32 KiB if the reader's buffer allows (netlink_dump,
// af_netlink.c).
constexpr std::size_t kBufferBytes = 32768;
// A dump during which the tables changed is marked NLM_F_DUMP_INTR and asked for again, at most so
// many times.
constexpr int kAttempts = 10;

template <typename Header>
struct DumpRequest final {
  nlmsghdr message{};
  Header header{};
  rtattr attribute{};
  std::uint32_t value = 0;
};

template <typename Header>
Status send_dump(int socket, std::uint16_t type, std::uint32_t sequence, Header header,
                 bool skip_statistics) {
  DumpRequest<Header> request;
  static_assert(sizeof(request) == sizeof(nlmsghdr) + sizeof(Header) + sizeof(rtattr) + 4);
  const std::size_t length = skip_statistics ? sizeof(request) : sizeof(nlmsghdr) + sizeof(Header);
  request.message.nlmsg_len = static_cast<std::uint32_t>(length);
  request.message.nlmsg_type = type;
  request.message.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.message.nlmsg_seq = sequence;
  request.header = header;
  request.attribute.rta_len = sizeof(rtattr) + sizeof(std::uint32_t);
  request.attribute.rta_type = IFLA_EXT_MASK;
  request.value = RTEXT_FILTER_SKIP_STATS;
  if (::send(socket, &request, length, 0) < 0) return Error::from_errno("ask rtnetlink for a dump");
  return {};
}

enum class DumpEnd { whole, interrupted };

// Reads answers until NLMSG_DONE and gives each message of the wanted type to `take`, which says
// false to a malformed one.
template <typename Take>
Result<DumpEnd> read_dump(int socket, std::uint32_t sequence, std::uint16_t type, Take take) {
  std::vector<std::uint8_t> buffer(kBufferBytes);
  bool interrupted = false;
  bool done = false;
  int failure = 0;
  while (!done) {
    const ssize_t length = ::recv(socket, buffer.data(), buffer.size(), MSG_TRUNC);
    if (length < 0) {
      if (errno == EINTR) continue;
      return Error::from_errno("read an rtnetlink dump");
    }
    if (static_cast<std::size_t>(length) > buffer.size()) {
      return Error{EMSGSIZE, "an rtnetlink datagram of " + std::to_string(length) + " bytes"};
    }
    const bool whole = for_each_message(
        Bytes(buffer.data(), static_cast<std::size_t>(length)), [&](const Message& message) {
          if (message.header.nlmsg_seq != sequence) return;
          if ((message.header.nlmsg_flags & NLM_F_DUMP_INTR) != 0) interrupted = true;
          if (message.header.nlmsg_type == NLMSG_DONE) {
            done = true;
          } else if (message.header.nlmsg_type == NLMSG_ERROR) {
            const auto error = read_struct<nlmsgerr>(message.payload);
            failure = error && error->error != 0 ? -error->error : EBADMSG;
            done = true;
          } else if (message.header.nlmsg_type == type && !take(message.payload)) {
            failure = EBADMSG;
          }
        });
    if (!whole) return Error{EBADMSG, "an rtnetlink datagram is truncated"};
  }
  if (failure != 0) return Error{failure, "rtnetlink dump"};
  return interrupted ? DumpEnd::interrupted : DumpEnd::whole;
}

// Both tables once. Interfaces deleted between the two dumps have no addresses; ones created
// between them come with the next event.
Result<DumpEnd> dump_once(int socket, std::uint32_t sequence, std::vector<InterfaceFacts>& found) {
  std::map<int, InterfaceFacts> by_index;
  ifinfomsg links{};
  links.ifi_family = AF_UNSPEC;
  if (const Status sent = send_dump(socket, RTM_GETLINK, sequence, links, true); !sent) {
    return sent.error();
  }
  const auto read_links = read_dump(socket, sequence, RTM_NEWLINK, [&](Bytes payload) {
    auto facts = parse_link(payload);
    if (!facts) return false;
    by_index.insert_or_assign(facts->index, std::move(*facts));
    return true;
  });
  if (!read_links) return read_links.error();

  ifaddrmsg addresses{};
  addresses.ifa_family = AF_UNSPEC;
  if (const Status sent = send_dump(socket, RTM_GETADDR, sequence + 1, addresses, false); !sent) {
    return sent.error();
  }
  const auto read_addresses = read_dump(socket, sequence + 1, RTM_NEWADDR, [&](Bytes payload) {
    const auto header = read_struct<ifaddrmsg>(payload);
    if (header && header->ifa_family != AF_INET && header->ifa_family != AF_INET6) return true;
    auto address = parse_address(payload);
    if (!address) return false;
    const auto owner = by_index.find(address->index);
    if (owner != by_index.end()) owner->second.addresses.push_back(std::move(address->address));
    return true;
  });
  if (!read_addresses) return read_addresses.error();

  found.clear();
  for (auto& [index, facts] : by_index) found.push_back(std::move(facts));
  return read_links.value() == DumpEnd::whole ? read_addresses.value() : DumpEnd::interrupted;
}

}  // namespace

Result<UniqueFd> open_route_socket(unsigned groups) {
  UniqueFd socket(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!socket.valid()) return Error::from_errno("open an rtnetlink socket");
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) < 0) {
    return Error::from_errno("bind an rtnetlink socket");
  }
  return socket;
}

Result<std::vector<InterfaceFacts>> dump_interfaces() {
  auto socket = open_route_socket(0);
  if (!socket) return socket.error();
  // A kernel that stops answering must not hang the caller.
  const timeval patience{5, 0};
  if (::setsockopt(socket.value().get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) <
      0) {
    return Error::from_errno("set SO_RCVTIMEO");
  }
  std::vector<InterfaceFacts> found;
  for (std::uint32_t attempt = 0; attempt < kAttempts; ++attempt) {
    const auto end = dump_once(socket.value().get(), 1 + 2 * attempt, found);
    if (!end) return end.error();
    if (end.value() == DumpEnd::whole) return found;
  }
  return Error{EAGAIN, "interfaces kept changing during " + std::to_string(kAttempts) + " dumps"};
}

}  // namespace mcfleet::netlink
