#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "base/pool.h"
#include "packet/ip_address.h"
#include "packet/parse.h"

namespace mcfleet {

// The datagrams of which fragments came, and memory for their payload. Both are bounded: where they
// do not suffice, the oldest datagram is given up. What still comes of it takes no memory any more,
// so that the others become whole. Allocates only when it is made.
class DatagramTable final {
 public:
  static constexpr size_t kChunkBytes = 2048;
  // Some 4 MiB, as net.ipv4.ipfrag_high_thresh: 1056 datagrams of two chunks, 64 of the longest.
  static constexpr size_t kChunks = 2112;
  // Also those given up.
  static constexpr size_t kDatagrams = 4096;
  // As net.ipv4.ipfrag_time. Told late: with the next fragment.
  static constexpr uint64_t kTimeoutNs = 30'000'000'000;
  // How long what still comes of a datagram that was given up is ignored. Later its identification
  // may be that of another one.
  static constexpr uint64_t kIgnoreNs = 1'000'000'000;

  // Headers lie before the payload, so that it begins at a fixed place.
  static constexpr size_t kHeaderRoom = 128;
  static constexpr size_t kMostChunks =
      (kHeaderRoom + kMaxIpPacket + kChunkBytes - 1) / kChunkBytes;
  static_assert(kChunks == 64 * kMostChunks);
  // What is there is known by blocks of 8 bytes, in words of 64.
  static constexpr size_t kBlock = 8;
  static constexpr size_t kWordBytes = 64 * kBlock;

  // What fragments of one datagram have in common.
  struct Key {
    uint32_t id = 0;
    uint16_t vlan = 0;
    IpAddress source;
    IpAddress destination;
    bool operator==(const Key&) const = default;
  };

  struct Entry {
    Entry() { chunks.fill(kNone); }

    // Given up; what still comes of it is ignored.
    bool given_up = false;
    // Whether a fragment carried the mark Congestion Experienced.
    bool congestion = false;
    // Bytes of the first fragment's IP header, for IPv6 with what every fragment repeats; 0 until
    // it came.
    size_t header = 0;
    // Bytes of payload; 0 until the last fragment came.
    size_t payload = 0;
    // End of what reaches farthest.
    size_t farthest = 0;
    // Blocks that are there.
    size_t blocks = 0;

   private:
    friend class DatagramTable;
    Key key;
    // When its first fragment came, or when it was given up.
    uint64_t since_ns = 0;
    // Its number; kNone if it is not of the table.
    uint16_t index = kNone;
    // The next one with its hash, and those that came before and after it.
    uint16_t next = kNone;
    uint16_t older = kNone;
    uint16_t newer = kNone;
    std::array<uint16_t, kMostChunks> chunks;
  };

  struct Chunk {
    // Not filled: only what is present counts.
    Chunk() {}
    std::array<uint64_t, kChunkBytes / kWordBytes> present;
    std::array<uint8_t, kChunkBytes> bytes;
  };

  // Datagrams given up because they are late, and for want of memory.
  struct Losses {
    uint32_t late = 0;
    uint32_t evicted = 0;
  };

  DatagramTable();

  // Forgets what is late.
  void expire(uint64_t now_ns, Losses& losses);
  // Null if nothing is known of it.
  Entry* find(const Key& key);
  Entry& start(const Key& key, uint64_t now_ns, Losses& losses);
  // Gives its memory back. It is still known for a while.
  void give_up(Entry& entry, uint64_t now_ns);
  // Another one may have its key. It keeps its memory until release().
  void detach(Entry& entry);
  void release(Entry& entry);

  // Takes memory for the bytes from `first` to before `behind`, also for entries that are not of
  // the table.
  void reserve(Entry& entry, size_t first, size_t behind, uint64_t now_ns, Losses& losses);
  // Of the byte at `at`; null if there is none.
  Chunk* find_chunk(const Entry& entry, size_t at) {
    const uint16_t index = entry.chunks[at / kChunkBytes];
    return index == kNone ? nullptr : &chunks_[index];
  }
  // As find_chunk(), where there is one.
  Chunk& chunk(const Entry& entry, size_t at) { return chunks_[entry.chunks[at / kChunkBytes]]; }

 private:
  static constexpr uint16_t kNone = 0xffff;
  static constexpr size_t kBuckets = 8192;

  // Entries in the order of their time.
  struct Line {
    uint16_t oldest = kNone;
    uint16_t newest = kNone;
  };

  [[nodiscard]] uint16_t& bucket_of(const Key& key);
  void append(Line& line, Entry& entry);
  void remove(Line& line, Entry& entry);
  void release_chunks(Entry& entry);

  // So that no sender can choose who shares a bucket.
  const uint64_t seed_;
  // The first entry of each.
  std::vector<uint16_t> buckets_;
  Pool<Entry, kDatagrams> entries_;
  Pool<Chunk, kChunks> chunks_;
  Line open_;
  Line given_up_;
};

}  // namespace mcfleet
