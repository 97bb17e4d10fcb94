#include "forwarder/host_policy.h"

#include <linux/fib_rules.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/xfrm.h>
#include <sys/socket.h>

#include <algorithm>
#include <fstream>
#include <string>

#include "netlink/request.h"

namespace mcfleet {

using netlink::Attribute;
using netlink::Bytes;
using netlink::Message;
using netlink::Request;

namespace {

// Local, main and default (fib_default_rules_init).
constexpr int kDefaultRules = 3;

HostPolicy verdict(const Status& asked, bool present) {
  if (asked.ok()) return present ? HostPolicy::kPresent : HostPolicy::kNone;
  switch (asked.error().code) {
    // The kernel has no such thing, or the module is not loaded.
    case EPROTONOSUPPORT:
    case EINVAL:
    case ENOENT:
    case EOPNOTSUPP:
      return HostPolicy::kNone;
    default:
      return HostPolicy::kUnknown;
  }
}

HostPolicy read_nftables() {
  bool present = false;
  const nfgenmsg all{AF_UNSPEC, NFNETLINK_V0, 0};
  const Status asked = Request(NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE, NLM_F_DUMP)
                           .body(all)
                           .ask(NETLINK_NETFILTER, [&](const Message& message) {
                             const auto table = netlink::read_struct<nfgenmsg>(message.payload);
                             present |= table && (table->nfgen_family == NFPROTO_INET ||
                                                  table->nfgen_family == NFPROTO_IPV4);
                           });
  return verdict(asked, present);
}

// Tables of the older iptables; they show up here when they are first used.
HostPolicy read_legacy_iptables() {
  std::ifstream names("/proc/self/net/ip_tables_names");
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

HostPolicy read_rules() {
  int rules = 0;
  fib_rule_hdr header{};
  header.family = AF_INET;
  const Status asked =
      Request(RTM_GETRULE, NLM_F_DUMP).body(header).ask(NETLINK_ROUTE, [&](const Message&) {
        rules++;
      });
  return verdict(asked, rules > kDefaultRules);
}

}  // namespace

HostPolicy read_host_policy() {
  const auto all = {read_nftables(), read_legacy_iptables(), read_ipsec(), read_rules()};
  if (std::find(all.begin(), all.end(), HostPolicy::kPresent) != all.end()) {
    return HostPolicy::kPresent;
  }
  return std::find(all.begin(), all.end(), HostPolicy::kUnknown) != all.end() ? HostPolicy::kUnknown
                                                                              : HostPolicy::kNone;
}

}  // namespace mcfleet
