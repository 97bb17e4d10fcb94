#include "netlink/lower_devices.h"

#include <linux/if_link.h>
#include <sys/socket.h>

#include <cstdint>
#include <string>

#include "netlink/request.h"

namespace mcfleet::netlink {

std::optional<LinkPosition> parse_link_position(Bytes payload) {
  const auto header = read_struct<ifinfomsg>(payload);
  if (!header) return std::nullopt;
  LinkPosition position;
  position.ifindex = header->ifi_index;
  bool elsewhere = false;
  std::string kind;
  bool whole = true;
  whole &= for_each_attribute(after(payload, sizeof(*header)), [&](const Attribute& attribute) {
    if (attribute.type == IFLA_LINK) {
      position.lower = read_struct<int>(attribute.value).value_or(0);
    } else if (attribute.type == IFLA_MASTER) {
      position.master = read_struct<int>(attribute.value).value_or(0);
    } else if (attribute.type == IFLA_LINK_NETNSID) {
      elsewhere = true;
    } else if (attribute.type == IFLA_LINKINFO) {
      whole &= for_each_attribute(attribute.value, [&](const Attribute& part) {
        if (part.type == IFLA_INFO_KIND) kind = text(part.value);
      });
    }
  });
  if (!whole) return std::nullopt;
  // The other end of a veth receives, and what is there leaves by other ways.
  if (elsewhere || kind == "veth") position.lower = 0;
  return position;
}

Result<std::multimap<int, int>> dump_lower_devices() {
  std::multimap<int, int> lower;
  bool whole = true;
  ifinfomsg links{};
  links.ifi_family = AF_UNSPEC;
  const uint32_t without_statistics = RTEXT_FILTER_SKIP_STATS;
  const Status asked = Request(RTM_GETLINK, NLM_F_DUMP)
                           .body(links)
                           .attribute(IFLA_EXT_MASK, without_statistics)
                           .ask(NETLINK_ROUTE, [&](const Message& message) {
                             if (message.header.nlmsg_type != RTM_NEWLINK) return;
                             const auto position = parse_link_position(message.payload);
                             whole &= position.has_value();
                             if (!position) return;
                             if (position->lower != 0)
                               lower.emplace(position->ifindex, position->lower);
                             if (position->master != 0)
                               lower.emplace(position->master, position->ifindex);
                           });
  if (!asked.ok()) return asked.error();
  if (!whole) return Error{EBADMSG, "read which interfaces send through which"};
  return lower;
}

}  // namespace mcfleet::netlink
