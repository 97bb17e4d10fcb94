// What devices say of themselves.
#include "forwarder/device_features.h"

#include "forwarder/link_facts.h"
#include "own_namespace.h"

using namespace mcfleet;

int main() {
  constexpr int kNone = 0x7ffffff;
  CHECK(!device_segments(kNone));
  CHECK(!device_tells_what_leaves(kNone));
  if (!enter_own_namespace()) return kSkipped;
  // drivers/net/loopback.c: ethtool_op_get_ts_info, and IFF_NO_QUEUE.
  CHECK(device_tells_what_leaves(kLoopback));
  const auto facts = read_link(kLoopback);
  CHECK(facts.ok());
  CHECK(!facts.value().has_queue);
}
