#include "packet/checksum.h"

#include <arpa/inet.h>

#include <cstring>

namespace mcfleet {
namespace {

// Two 64-bit words that are added at once (GCC and clang vector extension).
using Words = uint64_t __attribute__((vector_size(16)));

}  // namespace

uint16_t sum_bytes(const uint8_t* data, size_t size) {
  // Words are added in the machine's byte order and swapped once at the end: the sum does not care
  // (RFC 1071, section 2B). 64 bits hold 2^32 such additions, far more than a datagram has.
  uint64_t sum = 0;
  if (size >= sizeof(Words)) {
    const Words low_half = {0xffffffff, 0xffffffff};
    Words low{};
    Words high{};
    for (; size >= sizeof(Words); size -= sizeof(Words), data += sizeof(Words)) {
      Words words;
      std::memcpy(&words, data, sizeof(words));
      low += words & low_half;
      high += words >> 32;
    }
    low += high;
    sum = low[0] + low[1];
  }
  while (size >= 4) {
    uint32_t word = 0;
    std::memcpy(&word, data, 4);
    sum += word;
    data += 4;
    size -= 4;
  }
  if (size > 0) {
    uint32_t word = 0;
    std::memcpy(&word, data, size);
    sum += word;
  }
  return ntohs(fold(sum));
}

uint16_t sum_udp_pseudo_header(uint32_t source, uint32_t destination, uint16_t udp_length) {
  constexpr uint64_t kUdp = 17;
  return fold((source >> 16) + uint64_t{source & 0xffff} + (destination >> 16) +
              (destination & 0xffff) + kUdp + udp_length);
}

}  // namespace mcfleet
