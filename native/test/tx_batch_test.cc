// Every message is accounted once, whatever the socket answers.
#include "ring/tx_batch.h"

#include <array>
#include <cerrno>
#include <random>

#include "check.h"

using namespace mcfleet;

namespace {

void add(TxBatch& batch, OutputCounters& counters, uint32_t packets = 1, bool last = true) {
  uint8_t* room = batch.reserve(100);
  CHECK(room != nullptr);
  room[0] = 1;
  batch.commit(100, 0, {&counters, packets, 100 * packets, last});
}

uint64_t drops(const OutputCounters& counters) {
  uint64_t sum = 0;
  for (size_t i = 0; i < kDropReasonCount; i++)
    sum += counters.drops.get(static_cast<DropReason>(i));
  return sum;
}

void accounts_everything_once() {
  std::mt19937 random(9);
  constexpr int kErrors[] = {ENOBUFS,     EAGAIN, ENETDOWN, ENXIO, EMSGSIZE,
                             ENETUNREACH, EPERM,  EINVAL,   EINTR};
  for (int round = 0; round < 3000; round++) {
    TxBatch batch;
    OutputCounters counters;
    uint64_t expected = 0;
    uint64_t accepted = 0;
    const size_t messages = 1 + random() % TxBatch::kMessages;
    for (size_t i = 0; i < messages; i++) {
      const auto packets = static_cast<uint32_t>(1 + random() % 20);
      add(batch, counters, packets);
      expected += packets;
    }
    batch.send_with([&](mmsghdr* list, unsigned count) {
      if (random() % 3 == 0) {
        errno = kErrors[random() % std::size(kErrors)];
        return -1;
      }
      const int sent = static_cast<int>(1 + random() % count);
      for (int i = 0; i < sent; i++) {
        CHECK_EQ(list[i].msg_hdr.msg_iov->iov_len, 100U);
        accepted++;
      }
      return sent;
    });
    CHECK(batch.empty());
    CHECK_EQ(counters.packets.get() + drops(counters), expected);
    CHECK_EQ(counters.bytes.get(), counters.packets.get() * 100);
    CHECK((accepted == messages) == (drops(counters) == 0));
  }
}

void accounts_every_result_once() {
  std::mt19937 random(11);
  constexpr int kErrors[] = {ENOBUFS, EAGAIN, ENETDOWN, ENXIO, EMSGSIZE, EPERM, EINVAL, EIO};
  for (int round = 0; round < 1000; round++) {
    TxBatch batch;
    OutputCounters counters;
    uint64_t sent = 0;
    uint64_t lost = 0;
    uint64_t full = 0;
    std::array<uint32_t, TxBatch::kMessages> packets{};
    const size_t messages = 1 + random() % TxBatch::kMessages;
    for (size_t i = 0; i < messages; i++) {
      packets[i] = static_cast<uint32_t>(1 + random() % 20);
      add(batch, counters, packets[i]);
    }
    batch.send_all_with([&](std::span<const mmsghdr> list, std::span<int> results) {
      CHECK_EQ(list.size(), messages);
      CHECK_EQ(results.size(), messages);
      for (size_t i = 0; i < messages; i++) {
        const int error = kErrors[random() % std::size(kErrors)];
        results[i] = random() % 3 == 0 ? -error : 100;
        (results[i] < 0 ? lost : sent) += packets[i];
        if (results[i] < 0 && (error == ENOBUFS || error == EAGAIN)) full += packets[i];
      }
    });
    CHECK(batch.empty());
    CHECK_EQ(counters.packets.get(), sent);
    CHECK_EQ(drops(counters), lost);
    CHECK_EQ(counters.drops.get(DropReason::kTxFull), full);
  }
}

void one_refused_message_holds_up_no_other() {
  TxBatch batch;
  OutputCounters counters;
  for (int i = 0; i < 5; i++) add(batch, counters);
  int call = 0;
  batch.send_with([&](mmsghdr*, unsigned count) {
    // Two go out, the third is too long, the rest goes out.
    if (++call == 1) return 2;
    if (call == 2) {
      errno = EMSGSIZE;
      return -1;
    }
    return static_cast<int>(count);
  });
  CHECK_EQ(counters.packets.get(), 4U);
  CHECK_EQ(counters.drops.get(DropReason::kMtu), 1U);
}

void a_datagram_needs_all_its_fragments() {
  TxBatch batch;
  OutputCounters counters;
  // Three fragments of one datagram, cut apart by a flush; then one that is whole.
  add(batch, counters, 1, false);
  add(batch, counters, 1, false);
  batch.send_with([](mmsghdr*, unsigned) {
    errno = ENOBUFS;
    return -1;
  });
  CHECK_EQ(counters.packets.get() + drops(counters), 0U);
  add(batch, counters, 1, true);
  add(batch, counters, 1, true);
  batch.send_with([](mmsghdr*, unsigned count) { return static_cast<int>(count); });
  CHECK_EQ(counters.packets.get(), 1U);
  CHECK_EQ(counters.drops.get(DropReason::kTxFull), 1U);
}

void what_the_interface_refuses_is_counted_apart() {
  TxBatch batch;
  OutputCounters counters;
  RefusalCounters refusals;
  batch.count_refusals(&refusals);
  // A super-frame, a datagram in two fragments, and two that no queue refused: the socket's own
  // buffer was full, and the device was down.
  const auto refuse = [&](int error) {
    batch.send_with([error](mmsghdr*, unsigned) {
      errno = error;
      return -1;
    });
  };
  add(batch, counters, 20);
  add(batch, counters, 1, false);
  add(batch, counters, 1, true);
  refuse(ENOBUFS);
  CHECK_EQ(refusals.queued.get(), 3U);
  CHECK_EQ(refusals.frames.get(), 22U);
  add(batch, counters);
  refuse(EAGAIN);
  add(batch, counters);
  refuse(ENETDOWN);
  add(batch, counters);
  batch.send_all_with(
      [](std::span<const mmsghdr>, std::span<int> results) { results[0] = -ENOBUFS; });
  CHECK_EQ(refusals.queued.get(), 4U);
  CHECK_EQ(refusals.frames.get(), 23U);
  CHECK_EQ(counters.drops.get(DropReason::kTxFull), 23U);
}

// A queue counts each time that it refuses a message, and sendmmsg tries again the one at which it
// stopped.
void what_is_refused_twice_is_counted_twice() {
  for (const int second : {0, ENOBUFS, EMSGSIZE}) {
    TxBatch batch;
    OutputCounters counters;
    RefusalCounters refusals;
    batch.count_refusals(&refusals);
    for (int i = 0; i < 3; i++) add(batch, counters);
    int call = 0;
    batch.send_with([&](mmsghdr*, unsigned count) {
      if (++call == 1) return 1;
      if (call > 2 || second == 0) return static_cast<int>(count);
      errno = second;
      return -1;
    });
    CHECK_EQ(refusals.queued.get(), second == 0 ? 1U : second == ENOBUFS ? 2U : 0U);
    CHECK_EQ(counters.packets.get(), second == 0 ? 3U : 2U);
    CHECK_EQ(drops(counters), second == 0 ? 0U : 1U);
  }
}

void knows_when_it_is_full() {
  TxBatch batch;
  OutputCounters counters;
  for (size_t i = 0; i < TxBatch::kMessages; i++) add(batch, counters);
  CHECK(batch.reserve(1) == nullptr);
  batch.drop_all(DropReason::kNoSocket);
  CHECK_EQ(counters.drops.get(DropReason::kNoSocket), TxBatch::kMessages);
  CHECK(batch.reserve(TxBatch::kArenaBytes) != nullptr);
  CHECK(batch.reserve(TxBatch::kArenaBytes + 1) == nullptr);
}

}  // namespace

int main() {
  accounts_everything_once();
  accounts_every_result_once();
  one_refused_message_holds_up_no_other();
  a_datagram_needs_all_its_fragments();
  what_the_interface_refuses_is_counted_apart();
  what_is_refused_twice_is_counted_twice();
  knows_when_it_is_full();
}
