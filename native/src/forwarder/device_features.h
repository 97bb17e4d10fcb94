#pragma once

namespace mcfleet {

// Whether the device has tx-udp-segmentation on (SIOCETHTOOL). False if it cannot be asked: then
// the kernel cuts, which is always possible.
bool device_segments(int ifindex);

// Whether the driver tells of each packet when it takes it from the queue (SIOCETHTOOL,
// SOF_TIMESTAMPING_TX_SOFTWARE). Not all that say so do.
bool device_tells_what_leaves(int ifindex);

}  // namespace mcfleet
