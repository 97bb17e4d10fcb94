#include "mroute/multicast_table.h"

#include <array>

#include "mroute/ipv4_table.h"
#include "mroute/ipv6_table.h"
#include "mroute/kernel_headers.h"
#include "mroute/table_owner.h"

namespace mcfleet::mroute {

// What both families number alike is called by its IPv4 name.
static_assert(MRT_INIT == MRT6_INIT && MRT_VERSION == MRT6_VERSION && MRT_TABLE == MRT6_TABLE &&
              MRT_ASSERT == MRT6_ASSERT);

namespace {

int protocol_of(Family family) {
  if (family == Family::ipv4) return IPPROTO_IGMP;
  return IPPROTO_ICMPV6;
}

int level_of(Family family) {
  if (family == Family::ipv4) return IPPROTO_IP;
  return IPPROTO_IPV6;
}

std::string table_text(Family family, std::uint32_t id) {
  return (family == Family::ipv4 ? "IPv4" : "IPv6") + std::string(" multicast routing table ") +
         std::to_string(id);
}

std::string owners_text(Family family, int except) {
  std::string text;
  for (const SocketHolder& holder : find_table_owners(family, except)) {
    if (!text.empty()) text += ", ";
    text += holder.command + " (process " + std::to_string(holder.pid) + ")";
  }
  return text;
}

std::unique_ptr<MulticastTable> make(Family family, std::uint32_t id, UniqueFd socket,
                                     const KernelCalls& calls) {
  if (family == Family::ipv4) return std::make_unique<Ipv4Table>(id, std::move(socket), calls);
  return std::make_unique<Ipv6Table>(id, std::move(socket), calls);
}

}  // namespace

Result<std::unique_ptr<MulticastTable>> MulticastTable::open(Family family, std::uint32_t id,
                                                             const KernelCalls& calls) {
  // Not inherited by programs that are started: one of them would keep the table owned.
  UniqueFd socket(calls.open_socket(family == Family::ipv4 ? AF_INET : AF_INET6,
                                    SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, protocol_of(family)));
  if (!socket.valid()) {
    const Error refused = Error::from_errno("open a raw socket for the " + table_text(family, id));
    if (refused.code != EPERM) return refused;
    return Error{EPERM, refused.context + "; give the program the capability CAP_NET_RAW"};
  }
  auto table = make(family, id, std::move(socket), calls);
  if (const Status taken = table->take(); !taken.ok()) return taken.error();
  return table;
}

Result<std::unique_ptr<MulticastTable>> MulticastTable::adopt(Family family, std::uint32_t id,
                                                              UniqueFd socket,
                                                              const KernelCalls& calls) {
  int protocol = 0;
  socklen_t size = sizeof(protocol);
  if (calls.get_option(socket.get(), SOL_SOCKET, SO_PROTOCOL, &protocol, &size) != 0)
    return Error::from_errno("go on with the " + table_text(family, id));
  if (protocol != protocol_of(family)) {
    return Error{EPROTOTYPE, "go on with the " + table_text(family, id) +
                                 ": the descriptor is of another kind of socket"};
  }
  return make(family, id, std::move(socket), calls);
}

std::string MulticastTable::text() const {
  return table_text(family_, id_);
}

Status MulticastTable::take() const {
  // The kernel would make a table 0, and then use its default one.
  if (id_ == 0) return refusal(EINVAL);
  const int level = level_of(family_);
  if (id_ != default_table(family_) &&
      calls_.set_option(socket_.get(), level, MRT_TABLE, &id_, sizeof(id_)) != 0) {
    return refusal(errno);
  }
  const int version = 1;
  if (calls_.set_option(socket_.get(), level, MRT_INIT, &version, sizeof(version)) != 0)
    return refusal(errno);
  return {};
}

// Why the table cannot be had, and what to do.
Error MulticastTable::refusal(int code) const {
  std::string what = "take the " + text();
  if (code == EADDRINUSE) {
    const std::string owners = owners_text(family_, socket_.get());
    what +=
        ": another program owns it; stop that, or use another table. Programs with such a socket: ";
    what += owners.empty() ? "none that this user may see" : owners;
  } else if (code == ENOPROTOOPT) {
    int version = 0;
    socklen_t size = sizeof(version);
    const bool routes =
        calls_.get_option(socket_.get(), level_of(family_), MRT_VERSION, &version, &size) == 0;
    const std::string option = family_ == Family::ipv4 ? "CONFIG_IP_MROUTE" : "CONFIG_IPV6_MROUTE";
    what += ": the kernel was built without " + option;
    what += routes ? "_MULTIPLE_TABLES; use table " + std::to_string(default_table(family_)) +
                         ", or the userspace engine"
                   : "; use the userspace engine";
  } else if (code == EPERM || code == EACCES) {
    what += ": give the program the capability CAP_NET_ADMIN";
  } else if (code == EINVAL) {
    what += std::string(": the number must be from 1, below ") +
            (family_ == Family::ipv4 ? "1000000000" : "100000000");
  }
  return {code, std::move(what)};
}

Status MulticastTable::set_option(int name, const void* value, socklen_t size,
                                  const std::string& what) const {
  if (calls_.set_option(socket_.get(), level_of(family_), name, value, size) == 0) return {};
  const Error failed = Error::from_errno(what + " in the " + text());
  if (failed.code != EPERM && failed.code != EACCES) return failed;
  return Error{failed.code, failed.context + "; the socket no longer owns the table: take it anew"};
}

Status MulticastTable::report_wrong_interfaces(bool report) const {
  const int value = report ? 1 : 0;
  return set_option(MRT_ASSERT, &value, sizeof(value), "report packets of wrong interfaces");
}

Error MulticastTable::no_counters(Slot slot, int code) const {
  // What the kernel says of a slot behind the last that is filled.
  if (code == EINVAL) code = EADDRNOTAVAIL;
  return {code, "read the counters of slot " + std::to_string(slot) + " in the " + text()};
}

void MulticastTable::drain() const {
  // More than a socket's buffer holds; in a flood of unknown packets it would never be empty.
  constexpr int kMost = 4096;
  std::array<char, 2048> buffer;
  for (int i = 0; i < kMost; i++) {
    if (::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT) < 0 && errno != EINTR)
      return;
  }
}

}  // namespace mcfleet::mroute
