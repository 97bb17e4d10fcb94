#pragma once

#include <cstdint>
#include <cstring>

namespace mcfleet {

// Unaligned big-endian access. Header fields are kept in host order everywhere else.
inline uint16_t load16(const uint8_t* p) {
  return static_cast<uint16_t>(p[0] << 8 | p[1]);
}
inline uint32_t load32(const uint8_t* p) {
  return static_cast<uint32_t>(load16(p)) << 16 | load16(p + 2);
}
inline void store16(uint8_t* p, uint16_t value) {
  p[0] = static_cast<uint8_t>(value >> 8);
  p[1] = static_cast<uint8_t>(value & 0xff);
}
inline void store32(uint8_t* p, uint32_t value) {
  store16(p, static_cast<uint16_t>(value >> 16));
  store16(p + 2, static_cast<uint16_t>(value & 0xffff));
}

inline uint64_t load64(const uint8_t* p) {
  return uint64_t{load32(p)} << 32 | load32(p + 4);
}
inline void store64(uint8_t* p, uint64_t value) {
  store32(p, static_cast<uint32_t>(value >> 32));
  store32(p + 4, static_cast<uint32_t>(value & 0xffffffff));
}

}  // namespace mcfleet
