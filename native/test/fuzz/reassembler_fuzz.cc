// Any bytes as a row of frames, of which the fragments are put together: two bytes of length and of
// time before each.
#include <cstdlib>
#include <vector>

#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/ipv6_headers.h"
#include "packet/parse.h"
#include "packet/reassembler.h"

using namespace mcfleet;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint64_t kTick = 10'000'000;
  Reassembler reassembler(0);
  uint64_t now = 1;
  uint64_t fragments = 0;
  uint64_t ended = 0;
  while (size >= 4) {
    const size_t length = load16(data) % 2048;
    now += load16(data + 2) * kTick;
    data += 4;
    size -= 4;
    if (length > size) break;
    // On the heap, so that every byte read beyond is noticed.
    std::vector<uint8_t> frame(data, data + length);
    data += length;
    size -= length;
    if (frame.size() >= kIpv4Header && frame[0] >> 4 == 4) {
      // Right checksums are not to be guessed.
      const size_t header = size_t{frame[0] & 0x0fU} * 4;
      store16(frame.data() + 10, 0);
      if (header >= kIpv4Header && header <= frame.size()) {
        store16(frame.data() + 10, static_cast<uint16_t>(~sum_bytes(frame.data(), header)));
      }
    }
    Datagram datagram;
    const ParseResult parsed =
        parse_frame(frame.data(), frame.size(), frame.size(), 0, {}, datagram);
    if (parsed.status != ParseStatus::kDrop || parsed.reason != DropReason::kFragment) continue;
    fragments++;
    const Reassembler::Result result = reassembler.add(frame.data(), 0, now);
    ended += result.given_up + result.evicted;
    if (result.length == 0) continue;
    ended++;
    std::vector<uint8_t> written(result.length);
    reassembler.write(written.data());
    const uint8_t* ip = written.data();
    const ParseResult whole = parse_frame(ip, written.size(), written.size(), 0, {}, datagram);
    const bool ipv6 = ip[0] >> 4 == 6;
    const size_t told = ipv6 ? kIpv6Header + load16(ip + kIpv6PayloadLength) : load16(ip + 2);
    // Behind a fragment header there may be another one.
    const bool again = !ipv6 && whole.reason == DropReason::kFragment;
    if (told != result.length || again || whole.reason == DropReason::kMalformedIpChecksum) {
      std::abort();
    }
  }
  // No datagram ends twice.
  if (ended > fragments) std::abort();
  return 0;
}
