#include <cstring>
#include <memory>
#include <random>
#include <set>
#include <vector>

#include "check.h"
#include "probe/digest.h"
#include "probe/payload.h"
#include "probe/sha256.h"

using namespace mcfleet::probe;

namespace {

using Buffer = std::vector<std::uint8_t>;

Buffer payload_of(std::size_t size, const PayloadHeader& header) {
  Buffer payload(size);
  write_payload(payload, header);
  return payload;
}

std::string hex(const Sha256& hash) {
  std::string text;
  for (const std::uint8_t byte : hash) {
    char digits[3];
    (void)std::snprintf(digits, sizeof(digits), "%02x", byte);
    text += digits;
  }
  return text;
}

void reads_what_it_writes() {
  std::mt19937_64 random(1);
  for (std::size_t size = kHeaderBytes; size < 300; ++size) {
    const PayloadHeader header{random(), random(), static_cast<std::uint32_t>(random()), 0,
                               random()};
    const Buffer payload = payload_of(size, header);
    const auto read = read_header(payload);
    CHECK(read && read->run == header.run && read->sent_at == header.sent_at);
    CHECK(read->flow == header.flow && read->sequence == header.sequence && read->size == size);
    CHECK(pattern_intact(payload, *read));
  }
}

// Any changed byte is noticed, whether in the header or in the pattern, at any size.
void notices_every_corruption() {
  std::mt19937 random(2);
  for (const std::size_t size :
       {std::size_t{48}, std::size_t{49}, std::size_t{61}, std::size_t{1316}}) {
    const Buffer payload = payload_of(size, {7, 8, 9, 0, 10});
    for (std::size_t at = 0; at < size; ++at) {
      Buffer changed = payload;
      changed[at] = static_cast<std::uint8_t>(changed[at] ^ (1 + random() % 255));
      const auto header = read_header(changed);
      CHECK(at < kHeaderBytes ? !header : header && !pattern_intact(changed, *header));
    }
  }
}

void refuses_truncation() {
  const Buffer payload = payload_of(100, {1, 2, 3, 0, 4});
  for (std::size_t length = 0; length < payload.size(); ++length) {
    const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[length]);
    if (length > 0) std::memcpy(copy.get(), payload.data(), length);
    CHECK(!read_header({copy.get(), length}));
  }
}

void stamping_changes_the_time_only() {
  Buffer payload = payload_of(200, {1, 2, 3, 0, 4});
  const Buffer before = payload;
  stamp_payload(payload, 99);
  const auto header = read_header(payload);
  CHECK(header && header->sent_at == 99 && header->sequence == 4);
  CHECK(std::memcmp(&before[kStableOffset], &payload[kStableOffset], 200 - kStableOffset) == 0);
}

// Patterns of neighbours differ: a packet cannot be mistaken for the next one or for another
// flow's.
void patterns_differ() {
  std::set<Buffer> seen;
  for (std::uint32_t flow = 0; flow < 20; ++flow) {
    for (std::uint64_t sequence = 0; sequence < 200; ++sequence) {
      const Buffer payload = payload_of(80, {1, 2, flow, 0, sequence});
      CHECK(seen.emplace(payload.begin() + kHeaderBytes, payload.end()).second);
    }
  }
}

// FIPS 180-4 examples, and one million "a".
void sha256_matches_published_vectors() {
  const auto of = [](const std::string& message) {
    const std::span bytes(reinterpret_cast<const std::uint8_t*>(message.data()), message.size());
    CHECK(sha256(bytes) == sha256_portable(bytes));
    return hex(sha256(bytes));
  };
  CHECK(of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  CHECK(of("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq") ==
        "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  CHECK(of(std::string(1'000'000, 'a')) ==
        "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  for (std::size_t length = 0; length < 300; ++length) (void)of(std::string(length, 'x'));
}

void digest_tells_sets_apart_but_not_orders() {
  PayloadDigest forward;
  PayloadDigest backward;
  PayloadDigest one_less;
  PayloadDigest one_twice;
  PayloadDigest other_run;
  for (std::uint64_t i = 0; i < 50; ++i) {
    forward.add(payload_of(100, {1, i, 0, 0, i}));
    backward.add(payload_of(100, {1, 5, 0, 0, 49 - i}));
    other_run.add(payload_of(100, {2, 6, 0, 0, i}));
    if (i != 7) one_less.add(payload_of(100, {1, 5, 0, 0, i}));
    one_twice.add(payload_of(100, {1, 5, 0, 0, i == 7 ? 8 : i}));
  }
  CHECK(forward.hex() == backward.hex() && forward.hex() == other_run.hex());
  CHECK(forward.hex() != one_less.hex() && forward.hex() != one_twice.hex());
  CHECK(forward.hex().size() == 64 && PayloadDigest().hex() == std::string(64, '0'));
  // Of one payload it is that payload's SHA-256.
  PayloadDigest single;
  const Buffer payload = payload_of(100, {1, 5, 0, 0, 3});
  single.add(payload);
  CHECK(single.hex() == hex(sha256_portable(std::span(payload).subspan(kStableOffset))));
}

}  // namespace

int main() {
  reads_what_it_writes();
  notices_every_corruption();
  refuses_truncation();
  stamping_changes_the_time_only();
  patterns_differ();
  sha256_matches_published_vectors();
  digest_tells_sets_apart_but_not_orders();
}
