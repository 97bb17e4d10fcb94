#include "packet/reassembler.h"

#include <algorithm>
#include <cstring>

#include "packet/bytes.h"
#include "packet/rewrite.h"

namespace mcfleet {
namespace {

constexpr uint16_t kDontFragment = 0x4000;
constexpr uint16_t kMoreFragments = 0x2000;
constexpr uint16_t kOffsetMask = 0x1fff;
constexpr uint8_t kEcnMask = 3;
constexpr size_t kHeaderRoom = 128;

}  // namespace

Reassembler::Reassembler(size_t link_header)
    : link_header_(link_header),
      buffers_(std::make_unique_for_overwrite<uint8_t[]>(kDatagrams * kBufferBytes)) {}

Reassembler::Result Reassembler::add(const uint8_t* frame, uint16_t vlan, uint64_t now_ns) {
  const uint8_t* ip = frame + link_header_;
  const uint16_t flags = load16(ip + 6);
  Part part{ip, size_t{ip[0] & 0x0fU} * 4, static_cast<size_t>(flags & kOffsetMask) * kBlock, 0,
            (flags & kMoreFragments) == 0};
  part.size = load16(ip + 2) - part.header;
  Result result;
  Entry& entry = entry_for(ip, vlan, now_ns, result);
  if (entry.state == State::kSpoiled) return result;
  if (!place(entry, part)) {
    entry.state = State::kSpoiled;
    result.given_up++;
    return result;
  }
  if (part.offset == 0 && entry.header == 0) {
    entry.header = part.header;
    std::memcpy(entry.headers.data(), frame, link_header_ + part.header);
  }
  // RFC 3168, section 5.3: congestion met by one fragment was met by the datagram.
  entry.congestion = entry.congestion || (ip[1] & kEcnMask) == kEcnMask;
  const bool complete = entry.header != 0 && entry.payload != 0 &&
                        entry.blocks == (entry.payload + kBlock - 1) / kBlock;
  if (complete) finish(entry, result);
  return result;
}

// The datagram of this fragment, or a place for it.
Reassembler::Entry& Reassembler::entry_for(const uint8_t* ip, uint16_t vlan, uint64_t now_ns,
                                           Result& result) {
  const uint16_t id = load16(ip + 4);
  const uint32_t source = load32(ip + 12);
  const uint32_t destination = load32(ip + 16);
  Entry* place = nullptr;
  for (Entry& entry : entries_) {
    if (entry.state != State::kFree && now_ns > entry.since_ns + kTimeoutNs) {
      if (entry.state == State::kOpen) result.given_up++;
      entry.state = State::kFree;
    }
    if (entry.state != State::kFree && entry.id == id && entry.source == source &&
        entry.destination == destination && entry.vlan == vlan) {
      return entry;
    }
    // The first free place, so that little memory is touched; else the oldest.
    if (place == nullptr || (place->state != State::kFree &&
                             (entry.state == State::kFree || entry.since_ns < place->since_ns))) {
      place = &entry;
    }
  }
  if (place->state == State::kOpen) result.given_up++;
  *place = Entry{};
  place->state = State::kOpen;
  place->id = id;
  place->vlan = vlan;
  place->source = source;
  place->destination = destination;
  place->since_ns = now_ns;
  return *place;
}

// Copies the payload to its place. False if it cannot be part of the same datagram as the others.
bool Reassembler::place(Entry& entry, const Part& part) const {
  const size_t end = part.offset + part.size;
  if (part.size == 0 || end + part.header > kMaxIpPacket) return false;
  if (!part.last && part.size % kBlock != 0) return false;
  // Every fragment agrees with the end as far as it is known.
  if (part.last ? end < entry.farthest || (entry.payload != 0 && end != entry.payload)
                : entry.payload != 0 && end > entry.payload) {
    return false;
  }
  const size_t first = part.offset / kBlock;
  const size_t behind = (end + kBlock - 1) / kBlock;
  size_t there = 0;
  for (size_t i = first; i < behind; i++) there += entry.present[i / 64] >> (i % 64) & 1;
  if (there != 0) return there == behind - first;
  if (part.last) entry.payload = end;
  entry.farthest = std::max(entry.farthest, end);
  for (size_t i = first; i < behind; i++) entry.present[i / 64] |= uint64_t{1} << (i % 64);
  entry.blocks += behind - first;
  std::memcpy(buffer(entry) + kHeaderRoom + part.offset, part.ip + part.header, part.size);
  return true;
}

void Reassembler::finish(Entry& entry, Result& result) const {
  if (entry.header + entry.payload > kMaxIpPacket) {
    entry.state = State::kSpoiled;
    result.given_up++;
    return;
  }
  entry.state = State::kFree;
  uint8_t* ip = buffer(entry) + kHeaderRoom - entry.header;
  uint8_t* frame = ip - link_header_;
  std::memcpy(frame, entry.headers.data(), link_header_ + entry.header);
  if (entry.congestion && (ip[1] & kEcnMask) != 0) ip[1] |= kEcnMask;
  store16(ip + 2, static_cast<uint16_t>(entry.header + entry.payload));
  store16(ip + 6, load16(ip + 6) & kDontFragment);
  set_ip_checksum(ip, entry.header);
  result.frame = frame;
  result.length = link_header_ + entry.header + entry.payload;
}

uint8_t* Reassembler::buffer(const Entry& entry) const {
  return buffers_.get() + static_cast<size_t>(&entry - entries_.data()) * kBufferBytes;
}

}  // namespace mcfleet
