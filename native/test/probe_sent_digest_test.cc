#include <vector>

#include "check.h"
#include "probe/digest.h"
#include "probe/sent_digest.h"

using namespace mcfleet::probe;

namespace {

// As a receiver of these packets computes it: from the whole payload, run and time included.
std::string received_digest(std::uint32_t size, const std::vector<std::uint64_t>& packets_of_flow) {
  PayloadDigest digest;
  std::vector<std::uint8_t> payload(size);
  for (std::uint32_t flow = 0; flow < packets_of_flow.size(); ++flow) {
    for (std::uint64_t sequence = 0; sequence < packets_of_flow[flow]; ++sequence) {
      write_payload(payload, {0x1234, 99 + sequence, flow, 0, sequence});
      digest.add(payload);
    }
  }
  return digest.hex();
}

void equals_the_digest_of_the_payloads() {
  for (const std::uint32_t size : {48U, 49U, 1316U, 9000U}) {
    SentDigest sent(3, size);
    sent.add_sent(0, 20);
    sent.add_sent(2, 7);
    sent.add_sent(0, 5);
    CHECK(sent.pending() == 32);
    CHECK(sent.finish() == received_digest(size, {25, 0, 7}));
    CHECK(sent.pending() == 0);
  }
}

// However much of it was computed between the sends.
void does_not_depend_on_when_it_is_computed() {
  SentDigest sent(4, 100);
  std::vector<std::uint64_t> packets(4);
  for (std::uint64_t step = 0; step < 500; ++step) {
    const auto flow = static_cast<std::uint32_t>(step * 7 % 4);
    sent.add_sent(flow, step % 3);
    packets[flow] += step % 3;
    for (std::uint64_t i = 0; i < step % 2 && sent.pending() > 0; ++i) sent.take_one();
  }
  CHECK(sent.pending() > 0);
  CHECK(sent.finish() == received_digest(100, packets));
}

void one_packet_makes_a_difference() {
  const auto digest_of = [](std::uint64_t first, std::uint64_t second, std::uint32_t size) {
    SentDigest sent(2, size);
    sent.add_sent(0, first);
    sent.add_sent(1, second);
    return sent.finish();
  };
  CHECK(digest_of(10, 10, 100) != digest_of(10, 11, 100));
  CHECK(digest_of(10, 10, 100) != digest_of(9, 11, 100));
  CHECK(digest_of(10, 10, 100) != digest_of(10, 10, 101));
  CHECK(digest_of(0, 0, 100) == std::string(64, '0'));
}

// What waits to be computed is bounded by the work it makes: in bytes, and in packets of short
// ones.
void says_when_too_many_wait() {
  for (const std::uint32_t size : {48U, 1316U, 65507U}) {
    SentDigest sent(1, size);
    CHECK(!sent.too_many_pending());
    const std::uint64_t most = (std::uint64_t{4} << 30) / (size < 512 ? 512 : size);
    sent.add_sent(0, most);
    CHECK(!sent.too_many_pending());
    sent.add_sent(0, 1);
    CHECK(sent.too_many_pending());
    sent.take_one();
    CHECK(!sent.too_many_pending());
  }
}

}  // namespace

int main() {
  equals_the_digest_of_the_payloads();
  does_not_depend_on_when_it_is_computed();
  one_packet_makes_a_difference();
  says_when_too_many_wait();
}
