#include "forwarder/duplicate_window.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "packet/bytes.h"

namespace mcfleet {
namespace {

// Of each end of a payload: sequence numbers are near one, checksums and counters near the other.
// What is equal in both and differs between is taken for the same, and that does no harm unless
// the headers differ as well.
constexpr size_t kSample = 32;
constexpr uint64_t kMillisecondNs = 1'000'000;
constexpr uint32_t kWindowMs = DuplicateWindow::kWindowNs / kMillisecondNs;

// Cut to 32 bits: differences count.
uint32_t milliseconds(uint64_t time_ns) {
  return static_cast<uint32_t>(time_ns / kMillisecondNs);
}

// The finalizer of MurmurHash3.
uint64_t mix(uint64_t hash) {
  hash ^= hash >> 33;
  hash *= 0xff51afd7ed558ccdU;
  hash ^= hash >> 33;
  hash *= 0xc4ceb9fe1a85ec53U;
  return hash ^ hash >> 33;
}

// One multiplication a word: spread well enough for mix() to finish.
uint64_t add_word(uint64_t hash, uint64_t word) {
  return std::rotl((hash ^ word) * 0x9e3779b97f4a7c15U, 29);
}

uint64_t add_bytes(uint64_t hash, const uint8_t* data, size_t size) {
  while (size >= sizeof(uint64_t)) {
    uint64_t word = 0;
    std::memcpy(&word, data, sizeof(word));
    hash = add_word(hash, word);
    data += sizeof(word);
    size -= sizeof(word);
  }
  if (size == 0) return hash;
  uint64_t rest = 0;
  std::memcpy(&rest, data, size);
  return add_word(hash, rest << 8 | size);
}

// IPv6 has no identification; the flow label that the sender chose stays as well, and differs
// between senders (RFC 6437). Those of a super-frame's datagrams count up.
uint32_t identification_of(const uint8_t* ip, uint16_t segment) {
  return ip[0] >> 4 == 6 ? load32(ip) & 0xfffff : (load16(ip + 4) + segment) & 0xffffU;
}

// Of the payload, the identification, and where it is sent. Of a super-frame it is that of one
// datagram, for on its way it may be cut and put together otherwise.
uint64_t key_of(const uint8_t* ip, const Datagram& datagram, uint16_t segment) {
  const size_t before = size_t{segment} * datagram.segment_size;
  const uint8_t* payload = ip + datagram.ip_header + kUdpHeader + before;
  const size_t left = size_t{datagram.udp_length} - kUdpHeader - before;
  const size_t size = datagram.segments > 1 ? std::min(left, size_t{datagram.segment_size}) : left;
  uint64_t hash = add_word(uint64_t{datagram.destination} << 32 | datagram.destination_port,
                           uint64_t{identification_of(ip, segment)} << 32 | size);
  hash = add_bytes(hash, payload, std::min(size, kSample));
  if (size > kSample) {
    const size_t tail = std::min(size - kSample, kSample);
    hash = add_bytes(hash, payload + size - tail, tail);
  }
  return mix(hash);
}

// Who put it on the wire: station and source.
uint64_t sender_of(const uint8_t* ip, size_t link_header, const Datagram& datagram) {
  constexpr size_t kStation = 6;
  const uint64_t source = mix(datagram.source);
  if (link_header != kEthernetHeader) return source;
  return add_bytes(source, ip - link_header + kStation, kStation);
}

uint32_t origin_of(uint64_t sender, const Datagram& datagram) {
  return static_cast<uint32_t>(mix(sender ^ datagram.ttl));
}

}  // namespace

DuplicateWindow::DuplicateWindow() : buckets_(std::make_unique<Bucket[]>(kEntries / kWays)) {}

bool DuplicateWindow::repeated(const uint8_t* ip, size_t link_header, const Datagram& datagram,
                               uint64_t time_ns, uint16_t segment) {
  const uint32_t now_ms = milliseconds(time_ns);
  const uint64_t sender = sender_of(ip, link_header, datagram);
  const uint64_t packet = key_of(ip, datagram, segment);
  const auto [entry, coming] = meet(packet, origin_of(sender, datagram), now_ms);
  if (probe_.proves_loop(time_ns)) note_loop(probe_.path(), time_ns);
  if (coming == Coming::kNew) return false;
  const uint64_t path =
      mix(sender ^ (uint64_t{datagram.destination} << 32 | datagram.destination_port));
  if (coming == Coming::kStill) {
    loops_.forget(path);
    return false;
  }
  const bool looping = loops_.holds(path, time_ns);
  if (coming == Coming::kAsFirst) {
    came_again_until_ns_ = time_ns + kLoopNs;
    // It may have gone round before it was watched, so that it came back when it was met first.
    if (looping) {
      entry->refused = true;
      return true;
    }
    // A super-frame is judged by its first datagram.
    const bool often = entry->firsts >= kOften;
    if (segment == 0 && !datagram.ipv6 && probe_.keeps_back(packet, path, often, time_ns)) {
      return true;
    }
    count_first(*entry, now_ms);
    return false;
  }
  const uint32_t tolerated = looping ? kToleratedInLoop : kTolerated;
  if (entry->others < tolerated * entry->firsts) {
    entry->others++;
    if (entry->others > entry->firsts) came_again_until_ns_ = time_ns + kLoopNs;
    entry->taken_ms = now_ms;
    return false;
  }
  entry->refused = true;
  note_loop(path, time_ns);
  return true;
}

void DuplicateWindow::note_loop(uint64_t path, uint64_t time_ns) {
  loop_until_ns_ = time_ns + kLoopNs;
  loops_.note(path, time_ns);
}

void DuplicateWindow::remember(const uint8_t* ip, size_t link_header, const Datagram& datagram,
                               uint64_t time_ns, uint16_t segment) {
  const uint32_t now_ms = milliseconds(time_ns);
  const auto [entry, coming] =
      meet(key_of(ip, datagram, segment), origin_of(sender_of(ip, link_header, datagram), datagram),
           now_ms);
  if (coming == Coming::kAsFirst) count_first(*entry, now_ms);
}

std::pair<DuplicateWindow::Entry*, DuplicateWindow::Coming> DuplicateWindow::meet(uint64_t hash,
                                                                                  uint32_t origin,
                                                                                  uint32_t now_ms) {
  const uint32_t key = static_cast<uint32_t>(hash) | 1;
  Bucket& bucket = buckets_[hash >> 32 & (kEntries / kWays - 1)];
  Entry* entry = find(bucket, key);
  if (entry == nullptr) {
    entry = &place(bucket, now_ms);
    *entry = {key, now_ms, origin};
    return {entry, Coming::kNew};
  }
  if (now_ms - entry->taken_ms > kWindowMs) {
    const bool still = entry->refused;
    *entry = {key, now_ms, origin};
    return {entry, still ? Coming::kStill : Coming::kNew};
  }
  return {entry, entry->origin == origin ? Coming::kAsFirst : Coming::kOtherwise};
}

void DuplicateWindow::count_first(Entry& entry, uint32_t now_ms) {
  if (entry.firsts == kMostFirsts) {
    entry.firsts /= 2;
    entry.others /= 2;
  }
  entry.firsts++;
  entry.taken_ms = now_ms;
}

DuplicateWindow::Entry* DuplicateWindow::find(Bucket& bucket, uint32_t key) {
  for (Entry& entry : bucket.entries) {
    if (entry.key == key) return &entry;
  }
  return nullptr;
}

DuplicateWindow::Entry& DuplicateWindow::place(Bucket& bucket, uint32_t now_ms) {
  Entry* oldest = bucket.entries;
  for (Entry& entry : bucket.entries) {
    if (entry.key == 0) return entry;
    if (now_ms - entry.taken_ms > now_ms - oldest->taken_ms) oldest = &entry;
  }
  return *oldest;
}

}  // namespace mcfleet
