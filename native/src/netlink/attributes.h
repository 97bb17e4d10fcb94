#pragma once

#include <linux/netlink.h>
#include <linux/rtnetlink.h>

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>

// Netlink's two framings, messages and attributes, as walks over bytes. Nothing here trusts a
// length: each is checked against what is left, so that a truncated datagram ends the walk with
// `false` and never reads past its end.
namespace mcfleet::netlink {

static_assert(sizeof(nlmsghdr) == 16 && offsetof(nlmsghdr, nlmsg_type) == 4);
static_assert(sizeof(rtattr) == 4 && offsetof(rtattr, rta_type) == 2);

using Bytes = std::span<const std::uint8_t>;

// Copies a structure off the front; netlink aligns to 4 bytes only, and a test's buffer not at all.
template <typename T>
[[nodiscard]] std::optional<T> read_struct(Bytes bytes) {
  if (bytes.size() < sizeof(T)) return std::nullopt;
  T value;
  std::memcpy(&value, bytes.data(), sizeof(T));
  return value;
}

// What follows a structure of this size on the next 4-byte boundary; empty if nothing does.
[[nodiscard]] inline Bytes after(Bytes bytes, std::size_t size) {
  const std::size_t aligned = (size + 3) & ~std::size_t{3};
  return aligned < bytes.size() ? bytes.subspan(aligned) : Bytes{};
}

struct Attribute final {
  std::uint16_t type;  // without NLA_F_NESTED and NLA_F_NET_BYTEORDER
  Bytes value;
};

// Calls `visit` for each attribute. False if a length is wrong; what came before it has been
// visited.
template <typename Visit>
[[nodiscard]] bool for_each_attribute(Bytes bytes, Visit visit) {
  while (!bytes.empty()) {
    const auto header = read_struct<rtattr>(bytes);
    if (!header || header->rta_len < sizeof(rtattr) || header->rta_len > bytes.size()) return false;
    visit(Attribute{static_cast<std::uint16_t>(header->rta_type & NLA_TYPE_MASK),
                    bytes.subspan(sizeof(rtattr), header->rta_len - sizeof(rtattr))});
    bytes = after(bytes, header->rta_len);
  }
  return true;
}

struct Message final {
  nlmsghdr header;
  Bytes payload;
};

// Calls `visit` for each message of a datagram. False if a length is wrong.
template <typename Visit>
[[nodiscard]] bool for_each_message(Bytes bytes, Visit visit) {
  while (!bytes.empty()) {
    const auto header = read_struct<nlmsghdr>(bytes);
    if (!header || header->nlmsg_len < sizeof(nlmsghdr) || header->nlmsg_len > bytes.size())
      return false;
    visit(Message{*header, bytes.subspan(sizeof(nlmsghdr), header->nlmsg_len - sizeof(nlmsghdr))});
    bytes = after(bytes, header->nlmsg_len);
  }
  return true;
}

// Text up to the first NUL or the end: the kernel terminates its strings, a broken message need
// not.
[[nodiscard]] inline std::string text(Bytes value) {
  const auto* begin = reinterpret_cast<const char*>(value.data());
  return value.empty() ? std::string() : std::string(begin, ::strnlen(begin, value.size()));
}

}  // namespace mcfleet::netlink
