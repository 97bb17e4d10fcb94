#include "forwarder/link_facts.h"

#include <linux/if.h>
#include <linux/if_arp.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <cstring>
#include <string_view>

#include "base/unique_fd.h"

namespace mcfleet {
namespace {

// ARPHRD_NONE is missing in older headers' linux/if_arp.h only under other names; its number is
// fixed.
constexpr uint16_t kBareIp = 0xfffe;
// One RTM_NEWLINK with all its attributes, IFLA_AF_SPEC included, has a few KiB.
constexpr size_t kReplyBytes = 32768;

struct LinkRequest {
  nlmsghdr header;
  ifinfomsg info;
};

std::string_view read_name(const rtattr* attribute) {
  const auto* text = static_cast<const char*>(RTA_DATA(attribute));
  return {text, strnlen(text, RTA_PAYLOAD(attribute))};
}

// "veth", "macvlan", ...; empty of a device that is not made by rtnetlink.
std::string_view read_kind(const rtattr* info) {
  auto remaining = static_cast<int>(RTA_PAYLOAD(info));
  for (const auto* part = static_cast<const rtattr*>(RTA_DATA(info)); RTA_OK(part, remaining);
       part = RTA_NEXT(part, remaining)) {
    if (part->rta_type == IFLA_INFO_KIND) return read_name(part);
  }
  return {};
}

LinkFacts parse_link(const nlmsghdr* message) {
  LinkFacts facts;
  const auto* info = static_cast<const ifinfomsg*>(NLMSG_DATA(message));
  facts.flags = info->ifi_flags;
  facts.type = info->ifi_type;
  std::string_view queue;
  std::string_view kind;
  auto remaining = static_cast<int>(IFLA_PAYLOAD(message));
  for (const rtattr* attribute = IFLA_RTA(info); RTA_OK(attribute, remaining);
       attribute = RTA_NEXT(attribute, remaining)) {
    if (attribute->rta_type == IFLA_MTU) {
      std::memcpy(&facts.mtu, RTA_DATA(attribute), sizeof(facts.mtu));
    } else if (attribute->rta_type == IFLA_ADDRESS && RTA_PAYLOAD(attribute) == facts.mac.size()) {
      std::memcpy(facts.mac.data(), RTA_DATA(attribute), facts.mac.size());
    } else if (attribute->rta_type == IFLA_QDISC) {
      queue = read_name(attribute);
    } else if (attribute->rta_type == IFLA_LINKINFO) {
      kind = read_kind(attribute);
    }
  }
  facts.has_queue = queue != "noqueue" || (!kind.empty() && kind != "veth");
  return facts;
}

}  // namespace

LinkState link_state(const LinkFacts& facts) {
  if (link_header_length(facts) < 0) return LinkState::kUnsupported;
  if ((facts.flags & IFF_UP) == 0) return LinkState::kDown;
  // Without a carrier the kernel discards what is sent and calls it success (noop_qdisc).
  return (facts.flags & IFF_LOWER_UP) != 0 ? LinkState::kUp : LinkState::kNoCarrier;
}

int link_header_length(const LinkFacts& facts) {
  if (facts.type == ARPHRD_ETHER || facts.type == ARPHRD_LOOPBACK) return 14;
  return facts.type == kBareIp ? 0 : -1;
}

Result<LinkFacts> read_link(int ifindex) {
  const std::string context = "read interface index " + std::to_string(ifindex);
  const UniqueFd fd(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
  if (!fd.valid()) return Error::from_errno("open a route socket");
  LinkRequest request{};
  request.header.nlmsg_len = sizeof(request);
  request.header.nlmsg_type = RTM_GETLINK;
  request.header.nlmsg_flags = NLM_F_REQUEST;
  request.info.ifi_family = AF_UNSPEC;
  request.info.ifi_index = ifindex;
  if (send(fd.get(), &request, sizeof(request), 0) < 0) return Error::from_errno(context);
  alignas(nlmsghdr) std::array<uint8_t, kReplyBytes> reply;
  const ssize_t size = recv(fd.get(), reply.data(), reply.size(), 0);
  if (size < 0) return Error::from_errno(context);
  const auto* message = reinterpret_cast<const nlmsghdr*>(reply.data());
  if (!NLMSG_OK(message, static_cast<uint32_t>(size))) return Error{EBADMSG, context};
  if (message->nlmsg_type == NLMSG_ERROR) {
    const auto* error = static_cast<const nlmsgerr*>(NLMSG_DATA(message));
    return Error{-error->error, context};
  }
  if (message->nlmsg_type != RTM_NEWLINK) return Error{EBADMSG, context};
  return parse_link(message);
}

}  // namespace mcfleet
