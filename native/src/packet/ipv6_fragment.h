#pragma once

#include <cstddef>
#include <cstdint>

namespace mcfleet {

// Cuts one IPv6 packet into fragments (RFC 8200, section 4.5), as Fragmenter does for IPv4. Only
// who sends a packet may do so, and a relay sends: the copies are its own. The packet is
// unfragmented, its checksum finished.
class Ipv6Fragmenter final {
 public:
  // `id`: the identification; of the copies to one destination, no two near in time have the same.
  Ipv6Fragmenter(const uint8_t* ip, size_t length, size_t mtu, uint32_t id);

  // False if the MTU does not hold the headers and eight bytes.
  [[nodiscard]] bool possible() const { return step_ > 0; }
  // How many fragments there are.
  [[nodiscard]] size_t count() const;
  // Writes the next fragment to `out`, which has room for MTU bytes and does not overlap the
  // packet. 0: there is none left.
  size_t next(uint8_t* out);

 private:
  const uint8_t* ip_;
  // Headers that each fragment repeats, and where the last of them says what comes next.
  size_t header_;
  size_t next_field_;
  size_t payload_;
  size_t step_;
  size_t offset_ = 0;
  uint32_t id_;
};

}  // namespace mcfleet
