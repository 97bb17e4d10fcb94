#include <algorithm>
#include <memory>
#include <random>
#include <vector>

#include "check.h"
#include "probe/account.h"

using namespace mcfleet::probe;

namespace {

using Buffer = std::vector<std::uint8_t>;

Buffer payload_of(std::uint32_t flow, std::uint64_t sequence, std::size_t size = 100) {
  Buffer payload(size);
  write_payload(payload, {77, 1'000, flow, 0, sequence});
  return payload;
}

// A stream that was impaired in known ways is judged so: what was done is what is counted.
void counts_what_was_done() {
  for (unsigned seed = 0; seed < 30; ++seed) {
    std::mt19937 random(seed);
    std::vector<Buffer> stream;
    std::uint64_t lost = 0;
    std::uint64_t duplicated = 0;
    std::uint64_t corrupted = 0;
    constexpr std::uint64_t kCount = 3000;
    PayloadDigest expected;
    for (std::uint64_t sequence = 0; sequence < kCount; ++sequence) {
      Buffer payload = payload_of(0, sequence);
      const bool edge = sequence == 0 || sequence == kCount - 1;
      const auto fate = edge ? 9 : random() % 10;
      if (fate == 0) {
        ++lost;
        continue;
      }
      if (fate == 1) {
        ++lost;
        ++corrupted;
        payload[8 + random() % 92] ^= 0x10;
      } else {
        expected.add(payload);
      }
      if (fate == 2) {
        ++duplicated;
        stream.push_back(payload);
      }
      stream.push_back(payload);
    }
    std::uint64_t reordered = 0;
    for (std::size_t i = 1; i + 2 < stream.size(); i += 50) {
      const auto first = read_header(stream[i]);
      const auto second = read_header(stream[i + 1]);
      if (!first || !second || first->sequence == second->sequence ||
          !pattern_intact(stream[i], *first) || !pattern_intact(stream[i + 1], *second)) {
        continue;
      }
      const auto next = read_header(stream[i + 2]);
      const auto previous = read_header(stream[i - 1]);
      // Pairs that are part of a duplicate would count differently.
      if ((next && next->sequence == second->sequence) ||
          (previous && previous->sequence == first->sequence)) {
        continue;
      }
      std::swap(stream[i], stream[i + 1]);
      ++reordered;
    }
    const auto account = std::make_unique<Account>(true);
    for (const Buffer& payload : stream) account->take(payload, {.at = 3'000});
    CHECK(reordered > 20);
    CHECK(account->received.get() == kCount - lost);
    CHECK(account->gaps.get() == lost);
    CHECK(account->corrupt.get() == corrupted);
    CHECK(account->duplicates.get() == duplicated);
    CHECK(account->reordered.get() == reordered);
    CHECK(account->bytes.get() == (kCount - lost) * 100);
    CHECK(account->foreign.get() == 0 && account->stale.get() == 0);
    CHECK(account->digest() == expected.hex());
    CHECK(account->latency.max() == 2'000);
  }
}

void keeps_flows_apart() {
  const auto account = std::make_unique<Account>(false);
  for (std::uint64_t sequence = 0; sequence < 100; ++sequence) {
    for (std::uint32_t flow = 0; flow < 8; ++flow) {
      if (flow == 3 && sequence == 50) continue;
      account->take(payload_of(flow, sequence), {.at = 0, .source = mcfleet::IpAddress(flow)});
    }
  }
  CHECK(account->flows().size() == 8 && account->received.get() == 799);
  CHECK(account->gaps.get() == 1 && account->duplicates.get() == 0);
  for (const Flow& flow : account->flows()) CHECK(flow.lost() == (flow.flow == 3 ? 1 : 0));
  CHECK(!account->digest());
}

void bounds_flows() {
  const auto account = std::make_unique<Account>(false);
  for (std::uint32_t flow = 0; flow < Account::kMaxFlows + 10; ++flow) {
    account->take(payload_of(flow, 0), {});
  }
  CHECK(account->flows().size() == Account::kMaxFlows && account->unaccounted.get() == 10);
}

void splits_frames_of_several_datagrams() {
  const auto account = std::make_unique<Account>(false);
  Buffer frame;
  for (std::uint64_t sequence = 0; sequence < 20; ++sequence) {
    const Buffer payload = payload_of(0, sequence, sequence == 19 ? 60 : 100);
    frame.insert(frame.end(), payload.begin(), payload.end());
  }
  account->take(frame, {});
  CHECK(account->received.get() == 20 && account->bytes.get() == 19 * 100 + 60);
  frame.resize(frame.size() - 1);
  account->take(frame, {});
  CHECK(account->duplicates.get() == 19 && account->corrupt.get() == 1);
}

void tells_foreign_from_corrupt() {
  const auto account = std::make_unique<Account>(false);
  account->take({}, {});
  account->take(Buffer(100), {});
  CHECK(account->foreign.get() == 2 && account->corrupt.get() == 0);
  account->take(payload_of(0, 1), {.checksums_right = false});
  Buffer cut = payload_of(0, 2);
  cut.resize(70);
  account->take(cut, {});
  CHECK(account->corrupt.get() == 2 && account->received.get() == 0);
}

}  // namespace

int main() {
  counts_what_was_done();
  keeps_flows_apart();
  bounds_flows();
  splits_frames_of_several_datagrams();
  tells_foreign_from_corrupt();
}
