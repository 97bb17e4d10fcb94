#include "forwarder/duplicate_window.h"

#include <algorithm>
#include <bit>
#include <cstring>

#include "packet/bytes.h"
#include "packet/identification.h"

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
uint64_t key_of(const uint8_t* ip, const Datagram& datagram, uint16_t segment,
                uint32_t identification) {
  const size_t before = size_t{segment} * datagram.segment_size;
  const uint8_t* payload = ip + datagram.ip_header + kUdpHeader + before;
  const size_t left = size_t{datagram.udp_length} - kUdpHeader - before;
  const size_t size = datagram.segments > 1 ? std::min(left, size_t{datagram.segment_size}) : left;
  uint64_t hash = add_word(uint64_t{datagram.destination} << 32 | datagram.destination_port,
                           uint64_t{identification} << 32 | size);
  hash = add_bytes(hash, payload, std::min(size, kSample));
  if (size > kSample) {
    const size_t tail = std::min(size - kSample, kSample);
    hash = add_bytes(hash, payload + size - tail, tail);
  }
  return mix(hash);
}

uint64_t key_of(const uint8_t* ip, const Datagram& datagram, uint16_t segment) {
  return key_of(ip, datagram, segment, identification_of(ip, segment));
}

// Who put it on the wire: station and source.
uint64_t sender_of(const uint8_t* ip, size_t link_header, const Datagram& datagram) {
  constexpr size_t kStation = 6;
  const uint64_t source = mix(datagram.source);
  if (link_header != kEthernetHeader) return source;
  return add_bytes(source, ip - link_header + kStation, kStation);
}

// 0 is none.
uint32_t key_in_bucket(uint64_t hash) {
  return static_cast<uint32_t>(hash) | 1;
}

uint32_t origin_of(uint64_t sender, const Datagram& datagram) {
  return static_cast<uint32_t>(mix(sender ^ datagram.ttl));
}

}  // namespace

DuplicateWindow::DuplicateWindow() : buckets_(std::make_unique<Bucket[]>(kEntries / kWays)) {}

DuplicateWindow::Verdict DuplicateWindow::judge(const uint8_t* ip, size_t link_header,
                                                const Datagram& datagram, uint64_t time_ns,
                                                uint16_t segment, bool may_mark) {
  const uint32_t now_ms = milliseconds(time_ns);
  const uint64_t sender = sender_of(ip, link_header, datagram);
  const uint64_t packet = key_of(ip, datagram, segment);
  const uint32_t origin = origin_of(sender, datagram);
  const auto [entry, coming] = meet(packet, origin, now_ms);
  const uint64_t path =
      mix(sender ^ (uint64_t{datagram.destination} << 32 | datagram.destination_port));
  const RepeatProbe::Arrival arrival{packet, path, origin, time_ns};
  probe_.expire(time_ns);
  if (may_mark && probe_.comes_back(arrival)) {
    came_again_until_ns_ = time_ns + kLoopNs;
    if (!probe_.proven()) return {false, draw_mark(ip, datagram, time_ns)};
    return refuse(*entry, path, time_ns);
  }
  if (coming == Coming::kNew) return {};
  if (coming == Coming::kStill) {
    loops_.forget(path);
    return {};
  }
  const bool looping = loops_.holds(path, time_ns);
  if (coming == Coming::kAsFirst) {
    came_again_until_ns_ = time_ns + kLoopNs;
    // It may have gone round before it was watched, so that it came back when it was met first.
    if (looping) {
      entry->refused = true;
      return {true, 0};
    }
    count_first(*entry, now_ms);
    const bool often = entry->firsts >= kOften;
    // No sender meets a flow label by chance.
    if (!may_mark || !probe_.wants_mark(arrival, often, datagram.ipv6)) return {};
    if (probe_.mark() != 0) return {false, probe_.mark()};
    return {false, draw_mark(ip, datagram, time_ns)};
  }
  const uint32_t tolerated = looping ? kToleratedInLoop : kTolerated;
  if (entry->others < tolerated * entry->firsts) {
    entry->others++;
    if (entry->others > entry->firsts) came_again_until_ns_ = time_ns + kLoopNs;
    entry->taken_ms = now_ms;
    return {};
  }
  return refuse(*entry, path, time_ns);
}

DuplicateWindow::Verdict DuplicateWindow::refuse(Entry& entry, uint64_t path, uint64_t time_ns) {
  entry.refused = true;
  note_loop(path, time_ns);
  return {true, 0};
}

uint32_t DuplicateWindow::draw_mark(const uint8_t* ip, const Datagram& datagram, uint64_t time_ns) {
  constexpr uint32_t kFlowLabels = 0xfffff;
  // Relays that cut packets have upper bits of their own, and keep what does not look as if it were
  // missing without those (FragmentIdentifications).
  constexpr uint32_t kLower = 0x3ff;
  constexpr int kDraws = 16;
  const uint32_t own = identification_of(ip, 0);
  for (int i = 0; i < kDraws; i++) {
    const uint32_t drawn = static_cast<uint32_t>(random_() >> 8);
    const uint32_t mark = datagram.ipv6 ? drawn & kFlowLabels : (own & ~kLower) | (drawn & kLower);
    const bool looks_missing = datagram.ipv6 ? mark == 0 : (mark & kLower) < kFirstIdentification;
    if (looks_missing || mark == own) continue;
    const uint64_t marked = key_of(ip, datagram, 0, mark);
    if (remembers(marked, milliseconds(time_ns))) continue;
    probe_.expect(marked, mark, time_ns);
    return mark;
  }
  probe_.give_up(time_ns);
  return 0;
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
  const uint32_t key = key_in_bucket(hash);
  Bucket& bucket = bucket_of(hash);
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

bool DuplicateWindow::remembers(uint64_t hash, uint32_t now_ms) {
  const Entry* entry = find(bucket_of(hash), key_in_bucket(hash));
  return entry != nullptr && now_ms - entry->taken_ms <= kWindowMs;
}

DuplicateWindow::Bucket& DuplicateWindow::bucket_of(uint64_t hash) {
  return buckets_[hash >> 32 & (kEntries / kWays - 1)];
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
