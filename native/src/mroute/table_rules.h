#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "mroute/multicast_table.h"

// Which table routes what arrives on an interface (`ip mrule`). Rules stay in the namespace when
// their maker ends; ours are known by their originator.
namespace mcfleet::mroute {

// The originator that our rules carry (FRA_PROTOCOL); numbers below 0xc0 that no program of
// /etc/iproute2/rt_protos has.
inline constexpr std::uint8_t kRuleOriginator = 77;

struct TableRule final {
  // Also of one that does not exist; the rule waits for it.
  std::string input;
  std::uint32_t table = 0;

  auto operator<=>(const TableRule&) const = default;
};

// EEXIST: it is there. EPERM: no CAP_NET_ADMIN. EAFNOSUPPORT, EOPNOTSUPP: a kernel without several
// tables.
[[nodiscard]] Status add_rule(Family family, const TableRule& rule);
// ENOENT: we have no such rule.
[[nodiscard]] Status remove_rule(Family family, const TableRule& rule);
// Ours, in their order.
[[nodiscard]] Result<std::vector<TableRule>> dump_rules(Family family);

}  // namespace mcfleet::mroute
