#include "packet/datagram_table.h"

#include <bit>
#include <random>

namespace mcfleet {
namespace {

// Time stamps of two processors may be this far out of order. What lies farther ahead was before
// the clock was set back.
constexpr uint64_t kSlackNs = 1'000'000'000;

bool passed(uint64_t since_ns, uint64_t limit_ns, uint64_t now_ns) {
  return now_ns - since_ns + kSlackNs > limit_ns + kSlackNs;
}

uint64_t random_seed() {
  std::random_device random;
  return uint64_t{random()} << 32 | random();
}

}  // namespace

DatagramTable::DatagramTable() : seed_(random_seed()), buckets_(kBuckets, kNone) {}

void DatagramTable::expire(uint64_t now_ns, Losses& losses) {
  while (open_.oldest != kNone && passed(entries_[open_.oldest].since_ns, kTimeoutNs, now_ns)) {
    Entry& late = entries_[open_.oldest];
    detach(late);
    release(late);
    losses.late++;
  }
  while (given_up_.oldest != kNone &&
         passed(entries_[given_up_.oldest].since_ns, kIgnoreNs, now_ns)) {
    Entry& forgotten = entries_[given_up_.oldest];
    detach(forgotten);
    release(forgotten);
  }
}

DatagramTable::Entry* DatagramTable::find(const Key& key) {
  for (uint16_t index = bucket_of(key); index != kNone; index = entries_[index].next) {
    if (entries_[index].key == key) return &entries_[index];
  }
  return nullptr;
}

DatagramTable::Entry& DatagramTable::start(const Key& key, uint64_t now_ns, Losses& losses) {
  uint16_t index = entries_.take();
  if (index == kNone) {
    if (given_up_.oldest == kNone) losses.evicted++;
    Entry& oldest = entries_[given_up_.oldest != kNone ? given_up_.oldest : open_.oldest];
    detach(oldest);
    release(oldest);
    index = entries_.take();
  }
  Entry& entry = entries_[index];
  entry = Entry{};
  entry.key = key;
  entry.index = index;
  entry.since_ns = now_ns;
  uint16_t& bucket = bucket_of(key);
  entry.next = bucket;
  bucket = index;
  append(open_, entry);
  return entry;
}

void DatagramTable::give_up(Entry& entry, uint64_t now_ns) {
  release_chunks(entry);
  remove(open_, entry);
  entry.given_up = true;
  entry.since_ns = now_ns;
  append(given_up_, entry);
}

void DatagramTable::detach(Entry& entry) {
  uint16_t* link = &bucket_of(entry.key);
  while (*link != entry.index) link = &entries_[*link].next;
  *link = entry.next;
  remove(entry.given_up ? given_up_ : open_, entry);
}

void DatagramTable::release(Entry& entry) {
  release_chunks(entry);
  if (entry.index != kNone) entries_.give_back(entry.index);
}

void DatagramTable::reserve(Entry& entry, size_t first, size_t behind, uint64_t now_ns,
                            Losses& losses) {
  for (size_t i = first / kChunkBytes; i * kChunkBytes < behind; i++) {
    if (entry.chunks[i] != kNone) continue;
    uint16_t index = chunks_.take();
    while (index == kNone) {
      // Others have some: no datagram is as long as all memory.
      Entry& oldest = entries_[open_.oldest];
      give_up(&oldest != &entry ? oldest : entries_[oldest.newer], now_ns);
      losses.evicted++;
      index = chunks_.take();
    }
    entry.chunks[i] = index;
    chunks_[index].present.fill(0);
  }
}

uint16_t& DatagramTable::bucket_of(const Key& key) {
  uint64_t hash = seed_;
  for (const uint64_t word : {uint64_t{key.id} << 16 | key.vlan, key.source.high(),
                              key.source.low(), key.destination.high(), key.destination.low()}) {
    hash = std::rotl((hash ^ word) * 0x9e3779b97f4a7c15U, 29);
  }
  return buckets_[hash % kBuckets];
}

void DatagramTable::append(Line& line, Entry& entry) {
  entry.older = line.newest;
  entry.newer = kNone;
  (line.newest == kNone ? line.oldest : entries_[line.newest].newer) = entry.index;
  line.newest = entry.index;
}

void DatagramTable::remove(Line& line, Entry& entry) {
  (entry.older == kNone ? line.oldest : entries_[entry.older].newer) = entry.newer;
  (entry.newer == kNone ? line.newest : entries_[entry.newer].older) = entry.older;
}

void DatagramTable::release_chunks(Entry& entry) {
  for (uint16_t& index : entry.chunks) {
    if (index == kNone) continue;
    chunks_.give_back(index);
    index = kNone;
  }
}

}  // namespace mcfleet
