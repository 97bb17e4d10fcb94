#pragma once

#include <algorithm>
#include <optional>

#include "check.h"
#include "packet/reassembler.h"
#include "packets.h"

namespace packets {

// What add() made of an Ethernet frame, without its header; none if it completed nothing.
inline std::optional<Bytes> written(mcfleet::Reassembler& reassembler,
                                    const mcfleet::Reassembler::Result& result,
                                    const Bytes& frame) {
  if (result.length == 0) return std::nullopt;
  Bytes whole(result.length);
  reassembler.write(whole.data());
  const auto ip = whole.begin() + mcfleet::kEthernetHeader;
  CHECK(std::equal(whole.begin(), ip, frame.begin()));
  return Bytes(ip, whole.end());
}

}  // namespace packets
