#include "forwarder/address_numbers.h"

#include <algorithm>
#include <bit>

namespace mcfleet {

AddressNumbers::AddressNumbers(std::vector<IpAddress> addresses) {
  std::sort(addresses.begin(), addresses.end());
  addresses.erase(std::unique(addresses.begin(), addresses.end()), addresses.end());
  // At most half full: probes stay short, and there is always an empty slot to end them.
  slots_.resize(std::bit_ceil(std::max<size_t>(addresses.size() * 2, 2)));
  mask_ = slots_.size() - 1;
  uint32_t number = kNone;
  for (const IpAddress& address : addresses) {
    size_t i = hash(address) & mask_;
    while (slots_[i].number != kNone) i = (i + 1) & mask_;
    slots_[i] = {address, ++number};
  }
}

}  // namespace mcfleet
