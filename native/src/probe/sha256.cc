#include "probe/sha256.h"

#include <endian.h>

#include <bit>
#include <cstddef>
#include <cstring>

#if defined(__x86_64__)
#include <cpuid.h>
#include <immintrin.h>
#endif

namespace mcfleet::probe {

namespace {

using State = std::array<std::uint32_t, 8>;
using CompressBlocks = void (*)(State& state, const std::uint8_t* blocks, std::size_t count);
constexpr std::size_t kBlockBytes = 64;

constexpr State kInitialState{0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                              0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};

alignas(16) constexpr std::array<std::uint32_t, 64> kRound{
    0x428a2f98, 0x71374491, 0xb5c0fbcf, 0xe9b5dba5, 0x3956c25b, 0x59f111f1, 0x923f82a4, 0xab1c5ed5,
    0xd807aa98, 0x12835b01, 0x243185be, 0x550c7dc3, 0x72be5d74, 0x80deb1fe, 0x9bdc06a7, 0xc19bf174,
    0xe49b69c1, 0xefbe4786, 0x0fc19dc6, 0x240ca1cc, 0x2de92c6f, 0x4a7484aa, 0x5cb0a9dc, 0x76f988da,
    0x983e5152, 0xa831c66d, 0xb00327c8, 0xbf597fc7, 0xc6e00bf3, 0xd5a79147, 0x06ca6351, 0x14292967,
    0x27b70a85, 0x2e1b2138, 0x4d2c6dfc, 0x53380d13, 0x650a7354, 0x766a0abb, 0x81c2c92e, 0x92722c85,
    0xa2bfe8a1, 0xa81a664b, 0xc24b8b70, 0xc76c51a3, 0xd192e819, 0xd6990624, 0xf40e3585, 0x106aa070,
    0x19a4c116, 0x1e376c08, 0x2748774c, 0x34b0bcb5, 0x391c0cb3, 0x4ed8aa4a, 0x5b9cca4f, 0x682e6ff3,
    0x748f82ee, 0x78a5636f, 0x84c87814, 0x8cc70208, 0x90befffa, 0xa4506ceb, 0xbef9a3f7, 0xc67178f2};

void compress_portable(State& state, const std::uint8_t* blocks, std::size_t count) {
  for (; count > 0; --count, blocks += kBlockBytes) {
    std::array<std::uint32_t, 64> w;
    std::memcpy(w.data(), blocks, kBlockBytes);
    for (std::size_t i = 0; i < 16; ++i) w[i] = be32toh(w[i]);
    for (std::size_t i = 16; i < 64; ++i) {
      const std::uint32_t s0 =
          std::rotr(w[i - 15], 7) ^ std::rotr(w[i - 15], 18) ^ (w[i - 15] >> 3);
      const std::uint32_t s1 = std::rotr(w[i - 2], 17) ^ std::rotr(w[i - 2], 19) ^ (w[i - 2] >> 10);
      w[i] = w[i - 16] + s0 + w[i - 7] + s1;
    }
    auto [a, b, c, d, e, f, g, h] = state;
    for (std::size_t i = 0; i < 64; ++i) {
      const std::uint32_t s1 = std::rotr(e, 6) ^ std::rotr(e, 11) ^ std::rotr(e, 25);
      const std::uint32_t t1 = h + s1 + ((e & f) ^ (~e & g)) + kRound[i] + w[i];
      const std::uint32_t s0 = std::rotr(a, 2) ^ std::rotr(a, 13) ^ std::rotr(a, 22);
      const std::uint32_t t2 = s0 + ((a & b) ^ (a & c) ^ (b & c));
      h = g;
      g = f;
      f = e;
      e = d + t1;
      d = c;
      c = b;
      b = a;
      a = t1 + t2;
    }
    const State add{a, b, c, d, e, f, g, h};
    for (std::size_t i = 0; i < 8; ++i) state[i] += add[i];
  }
}

#if defined(__x86_64__)

bool has_sha_extensions() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0) return false;
  const bool sse = (c & bit_SSSE3) != 0 && (c & bit_SSE4_1) != 0;
  return sse && __get_cpuid_count(7, 0, &a, &b, &c, &d) != 0 && (b & (1U << 29)) != 0;
}

#define MCFLEET_SHA_NI __attribute__((target("sha,sse4.1,ssse3")))

// The state as the instructions want it, and a window of 16 words of the message schedule.
struct Lanes final {
  __m128i abef;
  __m128i cdgh;
  __m128i w[4];
};

// Four rounds on the words of window place `At`; `sha256rnds2` does two at a time. With `kExtend`
// the place then gets the words of four steps later; `msg1` and `msg2` are the two halves of the
// message schedule (Intel SDM volume 2, SHA256RNDS2).
template <std::size_t At, bool kExtend>
MCFLEET_SHA_NI inline void four_rounds(Lanes& lanes, const std::uint32_t* constants) {
  const __m128i current = lanes.w[At];
  const __m128i input =
      _mm_add_epi32(current, _mm_load_si128(reinterpret_cast<const __m128i*>(constants + 4 * At)));
  lanes.cdgh = _mm_sha256rnds2_epu32(lanes.cdgh, lanes.abef, input);
  lanes.abef = _mm_sha256rnds2_epu32(lanes.abef, lanes.cdgh, _mm_shuffle_epi32(input, 0x0e));
  if constexpr (kExtend) {
    const __m128i last = lanes.w[(At + 3) % 4];
    const __m128i sum = _mm_add_epi32(_mm_sha256msg1_epu32(current, lanes.w[(At + 1) % 4]),
                                      _mm_alignr_epi8(last, lanes.w[(At + 2) % 4], 4));
    lanes.w[At] = _mm_sha256msg2_epu32(sum, last);
  }
}

template <bool kExtend>
MCFLEET_SHA_NI inline void sixteen_rounds(Lanes& lanes, const std::uint32_t* constants) {
  four_rounds<0, kExtend>(lanes, constants);
  four_rounds<1, kExtend>(lanes, constants);
  four_rounds<2, kExtend>(lanes, constants);
  four_rounds<3, kExtend>(lanes, constants);
}

MCFLEET_SHA_NI inline __m128i load(const void* from) {
  return _mm_loadu_si128(static_cast<const __m128i*>(from));
}

MCFLEET_SHA_NI void compress_sha_ni(State& state, const std::uint8_t* blocks, std::size_t count) {
  const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0b, 0x0405060700010203);
  const __m128i cdab = _mm_shuffle_epi32(load(&state[0]), 0xb1);
  const __m128i efgh = _mm_shuffle_epi32(load(&state[4]), 0x1b);
  Lanes lanes;
  lanes.abef = _mm_alignr_epi8(cdab, efgh, 8);
  lanes.cdgh = _mm_blend_epi16(efgh, cdab, 0xf0);

  for (; count > 0; --count, blocks += kBlockBytes) {
    const __m128i abef = lanes.abef;
    const __m128i cdgh = lanes.cdgh;
    for (std::size_t i = 0; i < 4; ++i) {
      lanes.w[i] = _mm_shuffle_epi8(load(blocks + 16 * i), swap);
    }
    sixteen_rounds<true>(lanes, &kRound[0]);
    sixteen_rounds<true>(lanes, &kRound[16]);
    sixteen_rounds<true>(lanes, &kRound[32]);
    sixteen_rounds<false>(lanes, &kRound[48]);
    lanes.abef = _mm_add_epi32(lanes.abef, abef);
    lanes.cdgh = _mm_add_epi32(lanes.cdgh, cdgh);
  }

  const __m128i feba = _mm_shuffle_epi32(lanes.abef, 0x1b);
  const __m128i dchg = _mm_shuffle_epi32(lanes.cdgh, 0xb1);
  _mm_storeu_si128(reinterpret_cast<__m128i*>(&state[0]), _mm_blend_epi16(feba, dchg, 0xf0));
  _mm_storeu_si128(reinterpret_cast<__m128i*>(&state[4]), _mm_alignr_epi8(dchg, feba, 8));
}

#undef MCFLEET_SHA_NI

#endif

CompressBlocks fastest() {
#if defined(__x86_64__)
  if (has_sha_extensions()) return compress_sha_ni;
#endif
  return compress_portable;
}

Sha256 digest(CompressBlocks compress, std::span<const std::uint8_t> message) {
  State state = kInitialState;
  const std::size_t whole = message.size() / kBlockBytes;
  compress(state, message.data(), whole);
  // The rest, a one bit, zeros and the length in bits: one block or two.
  const auto rest = message.subspan(whole * kBlockBytes);
  std::array<std::uint8_t, 2 * kBlockBytes> tail{};
  if (!rest.empty()) std::memcpy(tail.data(), rest.data(), rest.size());
  tail[rest.size()] = 0x80;
  const std::size_t blocks = rest.size() + 1 + 8 > kBlockBytes ? 2 : 1;
  const std::uint64_t bits = htobe64(static_cast<std::uint64_t>(message.size()) * 8);
  std::memcpy(tail.data() + blocks * kBlockBytes - 8, &bits, 8);
  compress(state, tail.data(), blocks);
  Sha256 result;
  for (std::size_t i = 0; i < 8; ++i) {
    const std::uint32_t word = htobe32(state[i]);
    std::memcpy(result.data() + 4 * i, &word, 4);
  }
  return result;
}

}  // namespace

Sha256 sha256(std::span<const std::uint8_t> message) {
  static const CompressBlocks compress = fastest();
  return digest(compress, message);
}

Sha256 sha256_portable(std::span<const std::uint8_t> message) {
  return digest(compress_portable, message);
}

}  // namespace mcfleet::probe
