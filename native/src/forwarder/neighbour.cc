#include "forwarder/neighbour.h"

#include <arpa/inet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>

#include <array>

#include "netlink/request.h"
#include "packet/bytes.h"

namespace mcfleet {

using netlink::Attribute;
using netlink::Bytes;

static_assert(sizeof(ndmsg) == 12 && offsetof(ndmsg, ndm_state) == 8);
static_assert(sizeof(rtmsg) == 12 && offsetof(rtmsg, rtm_type) == 7);

namespace {

constexpr uint16_t kFresh = NUD_REACHABLE | NUD_DELAY | NUD_PROBE | NUD_NOARP | NUD_PERMANENT;
constexpr size_t kMacBytes = 6;

constexpr size_t kIpv4Bytes = 4;
constexpr size_t kIpv6Bytes = 16;

// Of the family; none if it is of another length, or no address.
std::optional<IpAddress> read_address(Bytes value, uint8_t family) {
  if (value.size() != (family == AF_INET ? kIpv4Bytes : kIpv6Bytes)) return std::nullopt;
  const IpAddress address =
      family == AF_INET ? IpAddress(load32(value.data())) : IpAddress::ipv6(value.data());
  return address.none() ? std::nullopt : std::optional(address);
}

uint8_t family_of(const IpAddress& address) {
  return address.is_ipv4() ? AF_INET : AF_INET6;
}

// Adds an address as the kernel wants it.
netlink::Request& add_address(netlink::Request& request, uint16_t type, const IpAddress& address) {
  if (address.is_ipv4()) return request.attribute(type, htonl(address.ipv4()));
  std::array<uint8_t, kIpv6Bytes> bytes;
  address.write_ipv6(bytes.data());
  return request.attribute(type, bytes);
}

// 0 if there is none; nothing if the metrics are malformed.
std::optional<uint32_t> read_mtu(Bytes metrics) {
  std::optional<uint32_t> mtu = 0;
  const bool whole = netlink::for_each_attribute(metrics, [&](const Attribute& metric) {
    if (metric.type == RTAX_MTU) mtu = netlink::read_struct<uint32_t>(metric.value);
  });
  return whole ? mtu : std::nullopt;
}

}  // namespace

std::optional<Neighbour> parse_neighbour(Bytes payload, bool gone) {
  const auto header = netlink::read_struct<ndmsg>(payload);
  if (!header || (header->ndm_family != AF_INET && header->ndm_family != AF_INET6)) {
    return std::nullopt;
  }
  Neighbour neighbour;
  neighbour.ifindex = header->ndm_ifindex;
  std::optional<IpAddress> address;
  const bool whole = netlink::for_each_attribute(
      netlink::after(payload, sizeof(ndmsg)), [&](const Attribute& attribute) {
        if (attribute.type == NDA_DST) address = read_address(attribute.value, header->ndm_family);
        if (attribute.type != NDA_LLADDR || attribute.value.size() != kMacBytes) return;
        neighbour.mac = 0;
        for (const uint8_t byte : attribute.value) neighbour.mac = neighbour.mac << 8 | byte;
      });
  if (!whole || !address) return std::nullopt;
  neighbour.address = *address;
  if (gone) return neighbour;
  if ((header->ndm_state & NUD_FAILED) != 0) neighbour.resolution = Resolution::kFailed;
  if ((header->ndm_state & NUD_STALE) != 0) neighbour.resolution = Resolution::kStale;
  if ((header->ndm_state & kFresh) != 0) neighbour.resolution = Resolution::kKnown;
  return neighbour;
}

Neighbour read_neighbour(int ifindex, const IpAddress& address) {
  ndmsg header{};
  header.ndm_family = family_of(address);
  header.ndm_ifindex = ifindex;
  Neighbour found;
  netlink::Request request(RTM_GETNEIGH, 0);
  const Status asked = add_address(request.body(header), NDA_DST, address)
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

std::optional<NextHop> parse_next_hop(Bytes payload, int ifindex, const IpAddress& destination) {
  const auto header = netlink::read_struct<rtmsg>(payload);
  if (!header || header->rtm_family != family_of(destination) || header->rtm_type != RTN_UNICAST) {
    return std::nullopt;
  }
  NextHop next_hop{destination};
  bool one = true;
  const bool whole = netlink::for_each_attribute(
      netlink::after(payload, sizeof(rtmsg)), [&](const Attribute& attribute) {
        switch (attribute.type) {
          case RTA_OIF:
            one &= netlink::read_struct<int>(attribute.value) == ifindex;
            break;
          case RTA_GATEWAY: {
            const auto gateway = read_address(attribute.value, header->rtm_family);
            one &= gateway.has_value();
            next_hop.address = gateway.value_or(destination);
            break;
          }
          case RTA_METRICS:
            one &= read_mtu(attribute.value).has_value();
            next_hop.mtu = read_mtu(attribute.value).value_or(0);
            break;
          case RTA_MULTIPATH:
          case RTA_VIA:
          case RTA_ENCAP:
          case RTA_ENCAP_TYPE:
            one = false;
            break;
          default:
            break;
        }
      });
  return whole && one ? std::optional(next_hop) : std::nullopt;
}

std::optional<NextHop> find_next_hop(int ifindex, const IpAddress& destination) {
  std::optional<NextHop> found;
  const auto ask = [&](uint32_t flags) {
    rtmsg header{};
    header.rtm_family = family_of(destination);
    header.rtm_dst_len = destination.is_ipv4() ? 32 : 128;
    header.rtm_flags = flags;
    netlink::Request request(RTM_GETROUTE, 0);
    return add_address(request.body(header), RTA_DST, destination)
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
