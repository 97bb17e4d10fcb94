#pragma once

#include <cstddef>
#include <cstdint>

#include "packet/parse.h"

namespace mcfleet {

// Cuts a super-frame, rewritten and with its partial checksum, into the datagrams it stands for,
// each with finished checksums. For outputs to which it cannot be handed on as it is.
class Segmenter final {
 public:
  Segmenter(const uint8_t* ip, const Datagram& super);

  // Writes the next datagram to `out` (room for kMaxIpPacket bytes) and describes it. False: there
  // is none left.
  bool next(uint8_t* out, Datagram& datagram);

 private:
  uint16_t finish_ipv4(uint8_t* out, Datagram& datagram);
  static uint16_t finish_ipv6(uint8_t* out, Datagram& datagram);

  const uint8_t* ip_;
  Datagram super_;
  size_t payload_;
  size_t offset_ = 0;
  uint16_t id_;
};

}  // namespace mcfleet
