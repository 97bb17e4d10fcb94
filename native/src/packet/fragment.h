#pragma once

#include <cstddef>
#include <cstdint>

namespace mcfleet {

// Cuts one IPv4 packet into fragments (RFC 791, section 2.3 and 3.2). The packet is unfragmented,
// its checksums finished.
//
//   Fragmenter fragmenter(ip, header, length, mtu, id);
//   while (size_t size = fragmenter.next(out)) ...
class Fragmenter final {
 public:
  // `id` replaces the packet's identification: fragments of two packets must not mix.
  // `keep_dont_fragment` leaves DF set in them.
  Fragmenter(const uint8_t* ip, size_t header, size_t length, size_t mtu, uint16_t id,
             bool keep_dont_fragment);

  // False if the MTU does not hold the header and eight bytes.
  [[nodiscard]] bool possible() const { return step_ > 0; }
  // How many fragments there are.
  [[nodiscard]] size_t count() const;
  // Writes the next fragment to `out`, which has room for MTU bytes and does not overlap the
  // packet. 0: there is none left.
  size_t next(uint8_t* out);

 private:
  const uint8_t* ip_;
  size_t header_;
  size_t payload_;
  size_t step_;
  size_t offset_ = 0;
  uint16_t id_;
  uint16_t flags_;
};

}  // namespace mcfleet
