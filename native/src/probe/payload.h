#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

// The payload of a probe datagram. All fields big-endian:
//
//    0  u32  magic "mcfp"
//    4  u8   version, 3 bytes zero
//    8  u64  run: random per sender, tells two senders apart
//   16  u64  time of sending, CLOCK_REALTIME in nanoseconds
//   24  u64  checksum of the other header fields
//   32  u32  flow
//   36  u32  size of the whole payload in bytes
//   40  u64  sequence number within the flow, from 0
//   48       pattern, a function of flow and sequence
//
// From byte 32 on a payload is the same in every run: this part is what the digest covers. The
// receiver builds the pattern anew and compares every byte, so that any corruption is seen, also
// that which a relay hides behind a fresh UDP checksum.
namespace mcfleet::probe {

constexpr std::size_t kHeaderBytes = 48;
constexpr std::size_t kStableOffset = 32;
// 65535 - 20 bytes IPv4 header - 8 bytes UDP header.
constexpr std::size_t kMaxPayloadBytes = 65507;

struct PayloadHeader final {
  std::uint64_t run = 0;
  std::uint64_t sent_at = 0;
  std::uint32_t flow = 0;
  std::uint32_t size = 0;
  std::uint64_t sequence = 0;
};

// Fills all of `payload`, whose size is the payload's; `header.size` is not read.
void write_payload(std::span<std::uint8_t> payload, const PayloadHeader& header);

// Writes the header only. The pattern, if there is one, is then that of another packet: a receiver
// takes this one for corrupt.
void write_header(std::span<std::uint8_t> payload, const PayloadHeader& header);

// Sets the time of sending of a written payload.
void stamp_payload(std::span<std::uint8_t> payload, std::uint64_t sent_at);

// The header if magic, version, checksum and size (at most what is there) are right.
[[nodiscard]] std::optional<PayloadHeader> read_header(std::span<const std::uint8_t> payload);

// Whether this claims to be a probe's payload, intact or not.
[[nodiscard]] bool is_probe(std::span<const std::uint8_t> payload);

// Whether the bytes after the header are those that were sent. `payload` is exactly as long as its
// header says.
[[nodiscard]] bool pattern_intact(std::span<const std::uint8_t> payload,
                                  const PayloadHeader& header);

}  // namespace mcfleet::probe
