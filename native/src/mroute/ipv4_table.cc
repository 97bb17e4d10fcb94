#include "mroute/ipv4_table.h"

#include <sys/ioctl.h>

#include <cstddef>

#include "mroute/kernel_headers.h"
#include "mroute/multicast_interface.h"
#include "mroute/route_text.h"

namespace mcfleet::mroute {

static_assert(MAXVIFS == kSlots);
static_assert(sizeof(vifctl) == 16 && offsetof(vifctl, vifc_vifi) == 0 &&
              offsetof(vifctl, vifc_flags) == 2 && offsetof(vifctl, vifc_threshold) == 3 &&
              offsetof(vifctl, vifc_rate_limit) == 4 && offsetof(vifctl, vifc_lcl_ifindex) == 8 &&
              offsetof(vifctl, vifc_rmt_addr) == 12);
static_assert(sizeof(mfcctl) == 60 && offsetof(mfcctl, mfcc_origin) == 0 &&
              offsetof(mfcctl, mfcc_mcastgrp) == 4 && offsetof(mfcctl, mfcc_parent) == 8 &&
              offsetof(mfcctl, mfcc_ttls) == 10 && offsetof(mfcctl, mfcc_pkt_cnt) == 44 &&
              offsetof(mfcctl, mfcc_expire) == 56);
static_assert(sizeof(sioc_vif_req) == 40 && offsetof(sioc_vif_req, icount) == 8 &&
              offsetof(sioc_vif_req, obytes) == 32);

namespace {

mfcctl to_kernel(const CacheEntry& entry) {
  mfcctl control{};
  control.mfcc_origin.s_addr = htonl(entry.source.ipv4());
  control.mfcc_mcastgrp.s_addr = htonl(entry.group.ipv4());
  control.mfcc_parent = entry.input;
  for (std::size_t slot = 0; slot < kSlots; slot++)
    control.mfcc_ttls[slot] = entry.thresholds[slot];
  return control;
}

std::string entry_text(const CacheEntry& entry) {
  return route_text(Family::ipv4, entry.source, entry.group);
}

}  // namespace

Status Ipv4Table::add_interface(Slot slot, int ifindex) {
  if (Status fit = check_multicast_interface(ifindex); !fit.ok()) return fit;
  vifctl control{};
  control.vifc_vifi = slot;
  control.vifc_flags = VIFF_USE_IFINDEX;
  // Unused by the kernel; thresholds are in the entries.
  control.vifc_threshold = 1;
  control.vifc_lcl_ifindex = ifindex;
  return set_option(
      MRT_ADD_VIF, &control, sizeof(control),
      "add interface " + interface_text(ifindex) + " as slot " + std::to_string(slot));
}

Status Ipv4Table::remove_interface(Slot slot) {
  vifctl control{};
  control.vifc_vifi = slot;
  return set_option(MRT_DEL_VIF, &control, sizeof(control),
                    "remove the interface of slot " + std::to_string(slot));
}

Result<SlotCounters> Ipv4Table::counters(Slot slot) const {
  sioc_vif_req request{};
  request.vifi = slot;
  if (::ioctl(descriptor(), SIOCGETVIFCNT, &request) != 0) return no_counters(slot, errno);
  return SlotCounters{request.icount, request.ibytes, request.ocount, request.obytes};
}

// Entries of any source are kept by their input too: one group may come in by several interfaces.
Status Ipv4Table::set(const CacheEntry& entry) {
  const mfcctl control = to_kernel(entry);
  return set_option(entry.source.none() ? MRT_ADD_MFC_PROXY : MRT_ADD_MFC, &control,
                    sizeof(control), "write route " + entry_text(entry));
}

Status Ipv4Table::remove(const CacheEntry& entry) {
  const mfcctl control = to_kernel(entry);
  return set_option(entry.source.none() ? MRT_DEL_MFC_PROXY : MRT_DEL_MFC, &control,
                    sizeof(control), "delete route " + entry_text(entry));
}

}  // namespace mcfleet::mroute
