#include "forwarder/neighbour.h"

#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include "netlink/request.h"

namespace mcfleet {

using netlink::Attribute;
using netlink::Bytes;

static_assert(sizeof(ndmsg) == 12 && offsetof(ndmsg, ndm_state) == 8);
static_assert(sizeof(rtmsg) == 12 && offsetof(rtmsg, rtm_type) == 7);

namespace {

constexpr uint16_t kFresh = NUD_REACHABLE | NUD_DELAY | NUD_PROBE | NUD_NOARP | NUD_PERMANENT;
constexpr size_t kMacBytes = 6;

std::optional<uint32_t> read_ipv4(Bytes value) {
  const auto address = netlink::read_struct<uint32_t>(value);
  if (!address || value.size() != sizeof(uint32_t)) return std::nullopt;
  return ntohl(*address);
}

bool has_mtu(Bytes metrics) {
  bool found = false;
  const bool whole = netlink::for_each_attribute(metrics, [&](const Attribute& metric) {
    if (metric.type != RTAX_MTU) return;
    found = netlink::read_struct<uint32_t>(metric.value).value_or(0) != 0;
  });
  return found || !whole;
}

}  // namespace

std::optional<Neighbour> parse_neighbour(Bytes payload, bool gone) {
  const auto header = netlink::read_struct<ndmsg>(payload);
  if (!header || header->ndm_family != AF_INET) return std::nullopt;
  Neighbour neighbour;
  neighbour.ifindex = header->ndm_ifindex;
  std::optional<uint32_t> address;
  bool has_mac = false;
  const bool whole = netlink::for_each_attribute(
      netlink::after(payload, sizeof(ndmsg)), [&](const Attribute& attribute) {
        if (attribute.type == NDA_DST) address = read_ipv4(attribute.value);
        if (attribute.type != NDA_LLADDR || attribute.value.size() != kMacBytes) return;
        has_mac = true;
        for (const uint8_t byte : attribute.value) neighbour.mac = neighbour.mac << 8 | byte;
      });
  if (!whole || !address) return std::nullopt;
  neighbour.address = *address;
  if (gone) return neighbour;
  if ((header->ndm_state & NUD_FAILED) != 0) neighbour.resolution = Resolution::kFailed;
  if (!has_mac || neighbour.mac == 0) return neighbour;
  if ((header->ndm_state & NUD_STALE) != 0) neighbour.resolution = Resolution::kStale;
  if ((header->ndm_state & kFresh) != 0) neighbour.resolution = Resolution::kKnown;
  return neighbour;
}

Neighbour read_neighbour(int ifindex, uint32_t address) {
  ndmsg header{};
  header.ndm_family = AF_INET;
  header.ndm_ifindex = ifindex;
  Neighbour found;
  const Status asked = netlink::Request(RTM_GETNEIGH, 0)
                           .body(header)
                           .attribute(NDA_DST, htonl(address))
                           .ask(NETLINK_ROUTE, [&](const netlink::Message& message) {
                             if (message.header.nlmsg_type != RTM_NEWNEIGH) return;
                             found = parse_neighbour(message.payload, false).value_or(found);
                           });
  // ENOENT where there is none; anything else is no better.
  if (!asked.ok()) found = {};
  found.ifindex = ifindex;
  found.address = address;
  return found;
}

std::optional<uint32_t> parse_next_hop(Bytes payload, int ifindex, uint32_t destination) {
  const auto header = netlink::read_struct<rtmsg>(payload);
  if (!header || header->rtm_family != AF_INET || header->rtm_type != RTN_UNICAST) {
    return std::nullopt;
  }
  uint32_t next_hop = destination;
  bool plain = true;
  const bool whole = netlink::for_each_attribute(
      netlink::after(payload, sizeof(rtmsg)), [&](const Attribute& attribute) {
        switch (attribute.type) {
          case RTA_OIF:
            plain &= netlink::read_struct<int>(attribute.value) == ifindex;
            break;
          case RTA_GATEWAY: {
            const auto gateway = read_ipv4(attribute.value);
            plain &= gateway.has_value();
            next_hop = gateway.value_or(0);
            break;
          }
          case RTA_METRICS:
            plain &= !has_mtu(attribute.value);
            break;
          case RTA_MULTIPATH:
          case RTA_VIA:
          case RTA_ENCAP:
          case RTA_ENCAP_TYPE:
            plain = false;
            break;
          default:
            break;
        }
      });
  return whole && plain ? std::optional(next_hop) : std::nullopt;
}

std::optional<uint32_t> find_next_hop(int ifindex, uint32_t destination) {
  std::optional<uint32_t> found;
  const auto ask = [&](uint32_t flags) {
    rtmsg header{};
    header.rtm_family = AF_INET;
    header.rtm_dst_len = 32;
    header.rtm_flags = flags;
    return netlink::Request(RTM_GETROUTE, 0)
        .body(header)
        .attribute(RTA_DST, htonl(destination))
        .attribute(RTA_OIF, ifindex)
        .ask(NETLINK_ROUTE, [&](const netlink::Message& message) {
          if (message.header.nlmsg_type != RTM_NEWROUTE) return;
          found = parse_next_hop(message.payload, ifindex, destination);
        });
  };
  // The route as it was made tells of several next hops. Where there is none, the kernel takes the
  // destination to be on the link of a socket that is bound to a device.
  return ask(RTM_F_FIB_MATCH).ok() || ask(0).ok() ? found : std::nullopt;
}

}  // namespace mcfleet
