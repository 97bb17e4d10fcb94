#include "probe/payload.h"

#include <endian.h>

#include <array>
#include <cstring>
#include <initializer_list>

namespace mcfleet::probe {

namespace {

constexpr std::uint32_t kMagic = 0x6d636670;  // "mcfp"
constexpr std::uint32_t kVersionWord = 1U << 24;
constexpr std::uint64_t kGolden = 0x9e3779b97f4a7c15;  // 2^64 divided by the golden ratio

void store32(std::uint8_t* to, std::uint32_t value) {
  value = htobe32(value);
  std::memcpy(to, &value, sizeof(value));
}

void store64(std::uint8_t* to, std::uint64_t value) {
  value = htobe64(value);
  std::memcpy(to, &value, sizeof(value));
}

std::uint32_t load32(const std::uint8_t* from) {
  std::uint32_t value;
  std::memcpy(&value, from, sizeof(value));
  return be32toh(value);
}

std::uint64_t load64(const std::uint8_t* from) {
  std::uint64_t value;
  std::memcpy(&value, from, sizeof(value));
  return be64toh(value);
}

// The finalizer of splitmix64: every input bit changes about half of the output bits.
constexpr std::uint64_t mix(std::uint64_t x) {
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

std::uint64_t header_checksum(const std::uint8_t* payload) {
  std::uint64_t sum = kGolden;
  for (const std::size_t offset : std::initializer_list<std::size_t>{0, 8, 16, 32, 40})
    sum = mix(sum + load64(payload + offset));
  return sum;
}

constexpr std::size_t kWordsAtOnce = 8;
constexpr std::size_t kPatternWords = (kMaxPayloadBytes - kHeaderBytes) / 8 + 1;

// What all patterns have in common: noise, so that no two words of a payload are alike.
const std::array<std::uint64_t, kPatternWords>& noise() {
  static const auto words = [] {
    std::array<std::uint64_t, kPatternWords> made;
    for (std::size_t i = 0; i < made.size(); ++i) made[i] = htobe64(mix(kGolden * (i + 1)));
    return made;
  }();
  return words;
}

// What tells the pattern of one packet from all others: its words are the noise, each combined with
// this. That is one operation per word, which the compiler does for several at once: a sender at
// full rate writes 80 million of them per second.
std::uint64_t pattern_key(std::uint32_t flow, std::uint64_t sequence) {
  return htobe64(mix(sequence ^ mix(flow + kGolden)));
}

}  // namespace

void write_header(std::span<std::uint8_t> payload, const PayloadHeader& header) {
  std::uint8_t* const bytes = payload.data();
  store32(bytes, kMagic);
  store32(bytes + 4, kVersionWord);
  store64(bytes + 8, header.run);
  store32(bytes + 32, header.flow);
  store32(bytes + 36, static_cast<std::uint32_t>(payload.size()));
  store64(bytes + 40, header.sequence);
  stamp_payload(payload, header.sent_at);
}

void write_payload(std::span<std::uint8_t> payload, const PayloadHeader& header) {
  write_header(payload, header);
  std::uint8_t* const bytes = payload.data();
  const std::uint64_t key = pattern_key(header.flow, header.sequence);
  const std::uint64_t* const words = noise().data();
  const std::size_t whole = (payload.size() - kHeaderBytes) / 8;
  std::uint8_t* const pattern = bytes + kHeaderBytes;
  std::size_t i = 0;
  // A loop of known length inside is what makes the compiler use its widest registers at -O2.
  for (; i + kWordsAtOnce <= whole; i += kWordsAtOnce) {
    std::array<std::uint64_t, kWordsAtOnce> some;
    for (std::size_t j = 0; j < kWordsAtOnce; ++j) some[j] = words[i + j] ^ key;
    std::memcpy(pattern + 8 * i, some.data(), sizeof(some));
  }
  for (; i < whole; ++i) {
    const std::uint64_t word = words[i] ^ key;
    std::memcpy(pattern + 8 * i, &word, 8);
  }
  const std::uint64_t last = words[whole] ^ key;
  std::memcpy(pattern + 8 * whole, &last, (payload.size() - kHeaderBytes) % 8);
}

void stamp_payload(std::span<std::uint8_t> payload, std::uint64_t sent_at) {
  store64(payload.data() + 16, sent_at);
  store64(payload.data() + 24, header_checksum(payload.data()));
}

bool is_probe(std::span<const std::uint8_t> payload) {
  return payload.size() >= 4 && load32(payload.data()) == kMagic;
}

std::optional<PayloadHeader> read_header(std::span<const std::uint8_t> payload) {
  if (payload.size() < kHeaderBytes) return std::nullopt;
  const std::uint8_t* const bytes = payload.data();
  if (load32(bytes) != kMagic || load32(bytes + 4) != kVersionWord ||
      load64(bytes + 24) != header_checksum(bytes)) {
    return std::nullopt;
  }
  const PayloadHeader header{load64(bytes + 8), load64(bytes + 16), load32(bytes + 32),
                             load32(bytes + 36), load64(bytes + 40)};
  if (header.size < kHeaderBytes || header.size > payload.size()) return std::nullopt;
  return header;
}

bool pattern_intact(std::span<const std::uint8_t> payload, const PayloadHeader& header) {
  const std::uint64_t key = pattern_key(header.flow, header.sequence);
  const std::uint64_t* const words = noise().data();
  const std::size_t whole = (payload.size() - kHeaderBytes) / 8;
  const std::uint8_t* const pattern = payload.data() + kHeaderBytes;
  std::uint64_t difference = 0;
  for (std::size_t i = 0; i < whole; ++i) {
    std::uint64_t word;
    std::memcpy(&word, pattern + 8 * i, 8);
    difference |= word ^ words[i] ^ key;
  }
  const std::uint64_t last = words[whole] ^ key;
  return difference == 0 &&
         std::memcmp(pattern + 8 * whole, &last, (payload.size() - kHeaderBytes) % 8) == 0;
}

}  // namespace mcfleet::probe
