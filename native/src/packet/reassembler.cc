#include "packet/reassembler.h"

#include <algorithm>
#include <cstring>

#include "packet/bytes.h"
#include "packet/ipv6_headers.h"
#include "packet/rewrite.h"

namespace mcfleet {
namespace {

constexpr uint16_t kDontFragment = 0x4000;
constexpr uint16_t kMoreFragments = 0x2000;
constexpr uint16_t kOffsetMask = 0x1fff;
constexpr uint8_t kEcnMask = 3;
constexpr size_t kHeaderRoom = 128;
constexpr uint16_t kIpv6MoreFragments = 1;
constexpr uint16_t kIpv6OffsetMask = 0xfff8;
// The traffic class begins in the lower half of the first byte.
constexpr int kIpv6EcnShift = 4;

size_t longest(bool ipv6) {
  return ipv6 ? kMaxIpPacket : kMaxIpv4Packet;
}

}  // namespace

Reassembler::Reassembler(size_t link_header)
    : link_header_(link_header),
      buffers_(std::make_unique_for_overwrite<uint8_t[]>((kDatagrams + 1) * kBufferBytes)) {}

Reassembler::Result Reassembler::add(const uint8_t* frame, uint16_t vlan, uint64_t now_ns) {
  const uint8_t* ip = frame + link_header_;
  const Part part = ip[0] >> 4 == 6 ? read_ipv6(ip, vlan) : read_ipv4(ip, vlan);
  Result result;
  if (part.ipv6 && part.offset == 0 && part.last) {
    finish_single(part, result);
    return result;
  }
  Entry& entry = entry_for(part.key, now_ns, result);
  if (entry.state == State::kSpoiled) return result;
  if (!place(entry, part)) {
    entry.state = State::kSpoiled;
    result.given_up++;
    return result;
  }
  if (part.offset == 0 && entry.header == 0) keep_headers(entry, part);
  // RFC 3168, section 5.3: congestion met by one fragment was met by the datagram.
  entry.congestion = entry.congestion || part.congestion;
  const bool complete = entry.header != 0 && entry.payload != 0 &&
                        entry.blocks == (entry.payload + kBlock - 1) / kBlock;
  if (complete) finish(entry, result);
  return result;
}

Reassembler::Part Reassembler::read_ipv4(const uint8_t* ip, uint16_t vlan) {
  const uint16_t flags = load16(ip + 6);
  Part part;
  part.key = {load16(ip + 4), vlan, load32(ip + 12), load32(ip + 16)};
  part.ip = ip;
  part.header = size_t{ip[0] & 0x0fU} * 4;
  part.payload = ip + part.header;
  part.offset = static_cast<size_t>(flags & kOffsetMask) * kBlock;
  part.size = load16(ip + 2) - part.header;
  part.last = (flags & kMoreFragments) == 0;
  part.congestion = (ip[1] & kEcnMask) == kEcnMask;
  return part;
}

Reassembler::Part Reassembler::read_ipv6(const uint8_t* ip, uint16_t vlan) {
  const size_t total = kIpv6Header + load16(ip + kIpv6PayloadLength);
  const Ipv6Headers headers = read_ipv6_headers(ip, total);
  const uint8_t* fragment = ip + headers.length;
  const uint16_t flags = load16(fragment + 2);
  Part part;
  part.key = {load32(fragment + 4), vlan, IpAddress::ipv6(ip + kIpv6Source),
              IpAddress::ipv6(ip + kIpv6Destination)};
  part.ip = ip;
  part.ipv6 = true;
  part.header = headers.length;
  part.next_field = headers.next_field;
  part.next = fragment[0];
  part.payload = fragment + kIpv6FragmentHeader;
  part.offset = flags & kIpv6OffsetMask;
  part.size = total - headers.length - kIpv6FragmentHeader;
  part.last = (flags & kIpv6MoreFragments) == 0;
  part.congestion = (ip[1] >> kIpv6EcnShift & kEcnMask) == kEcnMask;
  return part;
}

// The datagram of this fragment, or a place for it.
Reassembler::Entry& Reassembler::entry_for(const Key& key, uint64_t now_ns, Result& result) {
  Entry* place = nullptr;
  for (Entry& entry : entries_) {
    if (entry.state != State::kFree && now_ns > entry.since_ns + kTimeoutNs) {
      if (entry.state == State::kOpen) result.given_up++;
      entry.state = State::kFree;
    }
    if (entry.state != State::kFree && entry.key == key) return entry;
    // The first free place, so that little memory is touched; else the oldest.
    if (place == nullptr || (place->state != State::kFree &&
                             (entry.state == State::kFree || entry.since_ns < place->since_ns))) {
      place = &entry;
    }
  }
  if (place->state == State::kOpen) result.given_up++;
  *place = Entry{};
  place->state = State::kOpen;
  place->key = key;
  place->since_ns = now_ns;
  return *place;
}

// Copies the payload to its place. False if it cannot be part of the same datagram as the others.
bool Reassembler::place(Entry& entry, const Part& part) const {
  const size_t end = part.offset + part.size;
  if (part.size == 0 || end + part.header > longest(part.ipv6)) return false;
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
  std::memcpy(buffer(entry) + kHeaderRoom + part.offset, part.payload, part.size);
  return true;
}

void Reassembler::keep_headers(Entry& entry, const Part& part) const {
  entry.header = part.header;
  std::memcpy(entry.headers.data(), part.ip - link_header_, link_header_ + part.header);
  if (part.ipv6) entry.headers[link_header_ + part.next_field] = part.next;
}

void Reassembler::finish(Entry& entry, Result& result) const {
  const bool ipv6 = entry.headers[link_header_] >> 4 == 6;
  if (entry.header + entry.payload > longest(ipv6)) {
    entry.state = State::kSpoiled;
    result.given_up++;
    return;
  }
  entry.state = State::kFree;
  uint8_t* ip = buffer(entry) + kHeaderRoom - entry.header;
  uint8_t* frame = ip - link_header_;
  std::memcpy(frame, entry.headers.data(), link_header_ + entry.header);
  if (entry.congestion) mark_congestion(ip);
  const size_t total = entry.header + entry.payload;
  if (ipv6) {
    store16(ip + kIpv6PayloadLength, static_cast<uint16_t>(total - kIpv6Header));
  } else {
    store16(ip + 2, static_cast<uint16_t>(total));
    store16(ip + 6, load16(ip + 6) & kDontFragment);
    set_ip_checksum(ip, entry.header);
  }
  result.frame = frame;
  result.length = link_header_ + total;
}

// A datagram whose only fragment this is.
void Reassembler::finish_single(const Part& part, Result& result) {
  single_ = Entry{};
  if (!place(single_, part)) {
    result.given_up++;
    return;
  }
  keep_headers(single_, part);
  finish(single_, result);
}

// Congestion Experienced, unless the sender said that it knows nothing of that.
void Reassembler::mark_congestion(uint8_t* ip) {
  const int shift = ip[0] >> 4 == 6 ? kIpv6EcnShift : 0;
  if ((ip[1] >> shift & kEcnMask) != 0) ip[1] |= static_cast<uint8_t>(kEcnMask << shift);
}

uint8_t* Reassembler::buffer(const Entry& entry) const {
  const auto index =
      &entry == &single_ ? kDatagrams : static_cast<size_t>(&entry - entries_.data());
  return buffers_.get() + index * kBufferBytes;
}

}  // namespace mcfleet
