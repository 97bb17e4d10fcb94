#include "mroute/table_rules.h"

#include <linux/fib_rules.h>
#include <linux/if.h>

#include <array>
#include <optional>

#include "netlink/request.h"

namespace mcfleet::mroute {

using netlink::Attribute;
using netlink::Message;

static_assert(sizeof(fib_rule_hdr) == 12 && offsetof(fib_rule_hdr, table) == 4 &&
              offsetof(fib_rule_hdr, action) == 7);

namespace {

// Before the kernel's own rule for all interfaces, which has 32767.
constexpr std::uint32_t kPriority = 1000;

fib_rule_hdr header_of(Family family) {
  fib_rule_hdr header{};
  header.family = family == Family::ipv4 ? RTNL_FAMILY_IPMR : RTNL_FAMILY_IP6MR;
  return header;
}

std::string text(Family family, const TableRule& rule) {
  return std::string(family == Family::ipv4 ? "IPv4" : "IPv6") + " multicast rule from " +
         rule.input + " to table " + std::to_string(rule.table);
}

Status change(Family family, const TableRule& rule, std::uint16_t type, std::uint16_t flags,
              const char* verb) {
  const std::string what = verb + text(family, rule);
  std::array<char, IFNAMSIZ> name{};
  if (rule.input.empty() || rule.input.size() >= name.size())
    return Error{EINVAL, what + ": that is no name of an interface"};
  rule.input.copy(name.data(), name.size() - 1);
  fib_rule_hdr header = header_of(family);
  header.action = FR_ACT_TO_TBL;
  netlink::Request request(type, flags);
  request.body(header)
      .attribute(FRA_IIFNAME, name)
      .attribute(FRA_TABLE, rule.table)
      .attribute(FRA_PRIORITY, kPriority)
      .attribute(FRA_PROTOCOL, kRuleOriginator);
  const Status changed = request.ask(NETLINK_ROUTE, [](const Message&) {});
  if (changed.ok()) return {};
  const int code = changed.error().code;
  if (code == EPERM) return Error{code, what + ": give the program the capability CAP_NET_ADMIN"};
  if (code == EAFNOSUPPORT || code == EOPNOTSUPP)
    return Error{code, what + ": the kernel was built without several multicast routing tables"};
  return Error{code, what};
}

// None if it is not ours.
std::optional<TableRule> parse_rule(netlink::Bytes payload) {
  const auto header = netlink::read_struct<fib_rule_hdr>(payload);
  if (!header) return std::nullopt;
  TableRule rule;
  rule.table = header->table;
  std::uint8_t originator = 0;
  const bool whole = netlink::for_each_attribute(
      netlink::after(payload, sizeof(*header)), [&](const Attribute& part) {
        if (part.type == FRA_IIFNAME) rule.input = netlink::text(part.value);
        if (part.type == FRA_TABLE)
          rule.table = netlink::read_struct<std::uint32_t>(part.value).value_or(0);
        if (part.type == FRA_PROTOCOL && !part.value.empty()) originator = part.value[0];
      });
  if (!whole || originator != kRuleOriginator) return std::nullopt;
  return rule;
}

}  // namespace

Status add_rule(Family family, const TableRule& rule) {
  return change(family, rule, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, "add ");
}

Status remove_rule(Family family, const TableRule& rule) {
  return change(family, rule, RTM_DELRULE, 0, "delete ");
}

Result<std::vector<TableRule>> dump_rules(Family family) {
  std::vector<TableRule> found;
  const Status asked = netlink::Request(RTM_GETRULE, NLM_F_DUMP)
                           .body(header_of(family))
                           .ask(NETLINK_ROUTE, [&](const Message& message) {
                             if (message.header.nlmsg_type != RTM_NEWRULE) return;
                             if (auto rule = parse_rule(message.payload))
                               found.push_back(std::move(*rule));
                           });
  if (!asked.ok()) return Error{asked.error().code, "read the rules of multicast routing"};
  return found;
}

}  // namespace mcfleet::mroute
