#include "forwarder/host_policy.h"

#include <linux/fib_rules.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/xfrm.h>
#include <sys/socket.h>

#include <fstream>
#include <string>

#include "netlink/request.h"

namespace mcfleet {

using netlink::Attribute;
using netlink::Bytes;
using netlink::Message;
using netlink::Request;

namespace {

// What of the host's rules is for one family.
struct Family {
  uint8_t family;
  // Of nftables.
  uint8_t tables;
  // Where the older iptables names its tables, when they are first used.
  const char* table_names;
  // Local and main, and for IPv4 default (fib_default_rules_init, fib6_rules_net_init).
  int default_rules;
};
constexpr Family kIpv4{AF_INET, NFPROTO_IPV4, "/proc/self/net/ip_tables_names", 3};
constexpr Family kIpv6{AF_INET6, NFPROTO_IPV6, "/proc/self/net/ip6_tables_names", 2};

HostPolicy verdict(const Status& asked, bool present) {
  if (asked.ok()) return present ? HostPolicy::kPresent : HostPolicy::kNone;
  switch (asked.error().code) {
    // The kernel has no such thing, or the module is not loaded.
    case EPROTONOSUPPORT:
    case EAFNOSUPPORT:
    case EINVAL:
    case ENOENT:
    case EOPNOTSUPP:
      return HostPolicy::kNone;
    default:
      return HostPolicy::kUnknown;
  }
}

HostPolicy read_nftables(const Family& family) {
  bool present = false;
  const nfgenmsg all{AF_UNSPEC, NFNETLINK_V0, 0};
  const Status asked = Request(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, NLM_F_DUMP)
                           .body(all)
                           .ask(NETLINK_NETFILTER, [&](const Message& message) {
                             const auto table = netlink::read_struct<nfgenmsg>(message.payload);
                             present |= table && (table->nfgen_family == NFPROTO_INET ||
                                                  table->nfgen_family == family.tables);
                           });
  return verdict(asked, present);
}

HostPolicy read_legacy_iptables(const Family& family) {
  std::ifstream names(family.table_names);
  std::string name;
  return names && names >> name ? HostPolicy::kPresent : HostPolicy::kNone;
}

HostPolicy read_ipsec() {
  bool present = false;
  const uint32_t flags = 0xffffffff;
  const auto take = [&](const Message& message) {
    const bool whole = netlink::for_each_attribute(
        netlink::after(message.payload, sizeof(flags)), [&](const Attribute& attribute) {
          if (attribute.type != XFRMA_SPD_INFO) return;
          const auto counts = netlink::read_struct<xfrmu_spdinfo>(attribute.value);
          present |= counts && counts->outcnt > 0;
        });
    present |= !whole;
  };
  const Status asked = Request(XFRM_MSG_GETSPDINFO, 0).body(flags).ask(NETLINK_XFRM, take);
  return verdict(asked, present);
}

HostPolicy read_rules(const Family& family) {
  int rules = 0;
  fib_rule_hdr header{};
  header.family = family.family;
  const Status asked =
      Request(RTM_GETRULE, NLM_F_DUMP).body(header).ask(NETLINK_ROUTE, [&](const Message&) {
        rules++;
      });
  return verdict(asked, rules > family.default_rules);
}

// The strongest of two.
HostPolicy either(HostPolicy a, HostPolicy b) {
  for (const HostPolicy strong : {HostPolicy::kPresent, HostPolicy::kUnknown}) {
    if (a == strong || b == strong) return strong;
  }
  return HostPolicy::kNone;
}

HostPolicy read_policy(const Family& family, HostPolicy ipsec) {
  const HostPolicy others = either(ipsec, read_rules(family));
  const HostPolicy filters = either(read_nftables(family), read_legacy_iptables(family));
  if (filters != HostPolicy::kPresent) return either(others, filters);
  // What else there is cannot be ruled out.
  return others == HostPolicy::kNone ? HostPolicy::kFilters : HostPolicy::kPresent;
}

}  // namespace

HostPolicies read_host_policies() {
  const HostPolicy ipsec = read_ipsec();
  return {read_policy(kIpv4, ipsec), read_policy(kIpv6, ipsec)};
}

}  // namespace mcfleet
