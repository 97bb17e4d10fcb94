#include <memory>

#include "probe/account.h"
#include "probe/frame.h"

using namespace mcfleet::probe;

// A packet of any bytes, as a receiver at an interface and one at a socket take it.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const auto account = std::make_unique<Account>(true);
  const std::span<const std::uint8_t> bytes(data, size);
  account->take(bytes, {.at = 1});
  for (const bool unfinished : {false, true}) {
    const auto datagram = read_datagram(bytes, unfinished);
    if (datagram) account->take(datagram->payload, {.checksums_right = datagram->checksums_right});
  }
  return 0;
}
