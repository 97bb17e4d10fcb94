#include "mroute/ipv6_table.h"

#include <sys/ioctl.h>

#include <cstddef>
#include <limits>

#include "mroute/kernel_headers.h"
#include "mroute/multicast_interface.h"
#include "mroute/route_text.h"

namespace mcfleet::mroute {

static_assert(MAXMIFS == kSlots);
static_assert(sizeof(mif6ctl) == 12 && offsetof(mif6ctl, mif6c_mifi) == 0 &&
              offsetof(mif6ctl, mif6c_flags) == 2 && offsetof(mif6ctl, vifc_threshold) == 3 &&
              offsetof(mif6ctl, mif6c_pifi) == 4 && offsetof(mif6ctl, vifc_rate_limit) == 8);
static_assert(sizeof(mf6cctl) == 92 && offsetof(mf6cctl, mf6cc_origin) == 0 &&
              offsetof(mf6cctl, mf6cc_mcastgrp) == 28 && offsetof(mf6cctl, mf6cc_parent) == 56 &&
              offsetof(mf6cctl, mf6cc_ifset) == 60 && sizeof(if_set) == 32);
static_assert(sizeof(sioc_mif_req6) == 40 && offsetof(sioc_mif_req6, icount) == 8 &&
              offsetof(sioc_mif_req6, obytes) == 32);

namespace {

// The kernel's structure has 16 bits for it.
constexpr int kMaxIfindex = std::numeric_limits<decltype(mif6ctl::mif6c_pifi)>::max();

mf6cctl to_kernel(const CacheEntry& entry) {
  mf6cctl control{};
  control.mf6cc_origin.sin6_family = AF_INET6;
  entry.source.write_ipv6(control.mf6cc_origin.sin6_addr.s6_addr);
  control.mf6cc_mcastgrp.sin6_family = AF_INET6;
  entry.group.write_ipv6(control.mf6cc_mcastgrp.sin6_addr.s6_addr);
  control.mf6cc_parent = entry.input;
  for (std::size_t slot = 0; slot < kSlots; slot++) {
    if (entry.thresholds[slot] != 0)
      control.mf6cc_ifset.ifs_bits[slot / NIFBITS] |= 1U << (slot % NIFBITS);
  }
  return control;
}

std::string entry_text(const CacheEntry& entry) {
  return route_text(Family::ipv6, entry.source, entry.group);
}

}  // namespace

Status Ipv6Table::add_interface(Slot slot, int ifindex) {
  if (Status fit = check_multicast_interface(ifindex); !fit.ok()) return fit;
  const std::string what =
      "add interface " + interface_text(ifindex) + " as slot " + std::to_string(slot);
  if (ifindex > kMaxIfindex) {
    return Error{EOVERFLOW, what +
                                ": the kernel routes IPv6 multicast only on interfaces with an "
                                "index up to 65535; use the userspace engine"};
  }
  mif6ctl control{};
  control.mif6c_mifi = slot;
  // Unused by the kernel: it has none for IPv6.
  control.vifc_threshold = 1;
  control.mif6c_pifi = static_cast<decltype(control.mif6c_pifi)>(ifindex);
  return set_option(MRT6_ADD_MIF, &control, sizeof(control), what);
}

Status Ipv6Table::remove_interface(Slot slot) {
  const mifi_t control = slot;
  return set_option(MRT6_DEL_MIF, &control, sizeof(control),
                    "remove the interface of slot " + std::to_string(slot));
}

Result<SlotCounters> Ipv6Table::counters(Slot slot) const {
  sioc_mif_req6 request{};
  request.mifi = slot;
  if (::ioctl(descriptor(), SIOCGETMIFCNT_IN6, &request) != 0) return no_counters(slot, errno);
  return SlotCounters{request.icount, request.ibytes, request.ocount, request.obytes};
}

Status Ipv6Table::set(const CacheEntry& entry) {
  for (const std::uint8_t threshold : entry.thresholds) {
    if (threshold <= 1) continue;
    return Error{EOPNOTSUPP, "write route " + entry_text(entry) +
                                 " with a hop limit threshold of " + std::to_string(threshold) +
                                 ": the kernel has none for IPv6; use 1, or the userspace engine"};
  }
  const mf6cctl control = to_kernel(entry);
  return set_option(entry.source.none() ? MRT6_ADD_MFC_PROXY : MRT6_ADD_MFC, &control,
                    sizeof(control), "write route " + entry_text(entry));
}

Status Ipv6Table::remove(const CacheEntry& entry) {
  const mf6cctl control = to_kernel(entry);
  return set_option(entry.source.none() ? MRT6_DEL_MFC_PROXY : MRT6_DEL_MFC, &control,
                    sizeof(control), "delete route " + entry_text(entry));
}

}  // namespace mcfleet::mroute
