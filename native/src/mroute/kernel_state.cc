#include "mroute/kernel_state.h"

#include <linux/if_link.h>

#include "mroute/kernel_headers.h"
#include "netlink/request.h"

namespace mcfleet::mroute {

using netlink::after;
using netlink::Attribute;
using netlink::Bytes;
using netlink::for_each_attribute;
using netlink::Message;
using netlink::read_struct;

static_assert(sizeof(rtmsg) == 12 && offsetof(rtmsg, rtm_table) == 4 &&
              offsetof(rtmsg, rtm_protocol) == 5 && offsetof(rtmsg, rtm_flags) == 8);
static_assert(sizeof(rtnexthop) == 8 && offsetof(rtnexthop, rtnh_hops) == 3 &&
              offsetof(rtnexthop, rtnh_ifindex) == 4);
static_assert(sizeof(rta_mfc_stats) == 24 && offsetof(rta_mfc_stats, mfcs_wrong_if) == 16);

namespace {

IpAddress read_address(Family family, Bytes value) {
  if (family == Family::ipv6)
    return value.size() >= 16 ? IpAddress::ipv6(value.data()) : IpAddress();
  return ntohl(read_struct<std::uint32_t>(value).value_or(0));
}

bool read_outputs(Bytes value, KernelRoute& route) {
  while (!value.empty()) {
    const auto hop = read_struct<rtnexthop>(value);
    if (!hop || hop->rtnh_len < sizeof(*hop) || hop->rtnh_len > value.size()) return false;
    route.outputs[hop->rtnh_ifindex] = hop->rtnh_hops;
    value = after(value, hop->rtnh_len);
  }
  return true;
}

bool read_interface(Bytes value, KernelInterface& interface) {
  const auto number = [](const Attribute& part) {
    return read_struct<std::uint64_t>(part.value).value_or(0);
  };
  return for_each_attribute(value, [&](const Attribute& part) {
    if (part.type == IPMRA_VIFA_IFINDEX) {
      interface.ifindex = read_struct<int>(part.value).value_or(0);
    } else if (part.type == IPMRA_VIFA_VIF_ID) {
      interface.slot = static_cast<Slot>(read_struct<std::uint32_t>(part.value).value_or(0));
    } else if (part.type == IPMRA_VIFA_PACKETS_IN) {
      interface.packets_in = number(part);
    } else if (part.type == IPMRA_VIFA_BYTES_IN) {
      interface.bytes_in = number(part);
    } else if (part.type == IPMRA_VIFA_PACKETS_OUT) {
      interface.packets_out = number(part);
    } else if (part.type == IPMRA_VIFA_BYTES_OUT) {
      interface.bytes_out = number(part);
    }
  });
}

bool read_table(Bytes value, std::vector<KernelInterface>& found) {
  std::uint32_t table = 0;
  Bytes interfaces;
  bool whole = for_each_attribute(value, [&](const Attribute& part) {
    if (part.type == IPMRA_TABLE_ID) table = read_struct<std::uint32_t>(part.value).value_or(0);
    if (part.type == IPMRA_TABLE_VIFS) interfaces = part.value;
  });
  whole &= for_each_attribute(interfaces, [&](const Attribute& part) {
    if (part.type != IPMRA_VIF) return;
    KernelInterface interface;
    interface.table = table;
    whole &= read_interface(part.value, interface);
    found.push_back(interface);
  });
  return whole;
}

}  // namespace

std::optional<KernelRoute> parse_route(Family family, Bytes payload) {
  const auto header = read_struct<rtmsg>(payload);
  if (!header) return std::nullopt;
  KernelRoute route;
  route.table = header->rtm_table;
  route.unresolved = (header->rtm_flags & RTNH_F_UNRESOLVED) != 0;
  route.outlives_owner = header->rtm_protocol == RTPROT_STATIC;
  bool whole = true;
  whole &= for_each_attribute(after(payload, sizeof(*header)), [&](const Attribute& part) {
    if (part.type == RTA_TABLE) {
      route.table = read_struct<std::uint32_t>(part.value).value_or(0);
    } else if (part.type == RTA_SRC) {
      route.source = read_address(family, part.value);
    } else if (part.type == RTA_DST) {
      route.group = read_address(family, part.value);
    } else if (part.type == RTA_IIF) {
      route.input = read_struct<int>(part.value).value_or(0);
    } else if (part.type == RTA_MULTIPATH) {
      whole &= read_outputs(part.value, route);
    } else if (part.type == RTA_EXPIRES) {
      // In hundredths of a second, and despite its name backwards (mr_fill_mroute).
      route.idle_ms = read_struct<std::uint64_t>(part.value).value_or(0) * 10;
    } else if (part.type == RTA_MFC_STATS) {
      const auto counters = read_struct<rta_mfc_stats>(part.value).value_or(rta_mfc_stats{});
      route.packets = counters.mfcs_packets;
      route.bytes = counters.mfcs_bytes;
      route.wrong_interface = counters.mfcs_wrong_if;
    }
  });
  if (!whole) return std::nullopt;
  return route;
}

bool parse_interfaces(Bytes payload, std::vector<KernelInterface>& found) {
  bool whole = read_struct<ifinfomsg>(payload).has_value();
  whole &= for_each_attribute(after(payload, sizeof(ifinfomsg)), [&](const Attribute& part) {
    if (part.type == IFLA_AF_SPEC) whole &= read_table(part.value, found);
  });
  return whole;
}

Result<std::vector<KernelRoute>> dump_routes(Family family) {
  std::vector<KernelRoute> found;
  bool whole = true;
  rtmsg header{};
  header.rtm_family = family == Family::ipv4 ? RTNL_FAMILY_IPMR : RTNL_FAMILY_IP6MR;
  const Status asked = netlink::Request(RTM_GETROUTE, NLM_F_DUMP)
                           .body(header)
                           .ask(NETLINK_ROUTE, [&](const Message& message) {
                             if (message.header.nlmsg_type != RTM_NEWROUTE) return;
                             auto route = parse_route(family, message.payload);
                             whole &= route.has_value();
                             if (route) found.push_back(std::move(*route));
                           });
  if (!asked.ok()) return Error{asked.error().code, "read the multicast routes"};
  if (!whole) return Error{EBADMSG, "read the multicast routes"};
  return found;
}

Result<std::vector<KernelInterface>> dump_interfaces() {
  std::vector<KernelInterface> found;
  bool whole = true;
  ifinfomsg header{};
  header.ifi_family = RTNL_FAMILY_IPMR;
  const Status asked = netlink::Request(RTM_GETLINK, NLM_F_DUMP)
                           .body(header)
                           .ask(NETLINK_ROUTE, [&](const Message& message) {
                             if (message.header.nlmsg_type != RTM_NEWLINK) return;
                             whole &= parse_interfaces(message.payload, found);
                           });
  if (!asked.ok()) return Error{asked.error().code, "read the slots of multicast routing tables"};
  if (!whole) return Error{EBADMSG, "read the slots of multicast routing tables"};
  return found;
}

}  // namespace mcfleet::mroute
