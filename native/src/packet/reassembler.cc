#include "packet/reassembler.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>

#include "packet/bytes.h"
#include "packet/ipv6_headers.h"
#include "packet/rewrite.h"

namespace mcfleet {
namespace {

constexpr uint16_t kDontFragment = 0x4000;
constexpr uint16_t kMoreFragments = 0x2000;
constexpr uint16_t kOffsetMask = 0x1fff;
constexpr uint8_t kEcnMask = 3;
constexpr size_t kHeaderRoom = DatagramTable::kHeaderRoom;
constexpr size_t kBlock = DatagramTable::kBlock;
static_assert(kEthernetHeader + kMaxIpv6Headers <= kHeaderRoom);
constexpr uint16_t kIpv6MoreFragments = 1;
constexpr uint16_t kIpv6OffsetMask = 0xfff8;
// The traffic class begins in the lower half of the first byte.
constexpr int kIpv6EcnShift = 4;

size_t longest(bool ipv6) {
  return ipv6 ? kMaxIpPacket : kMaxIpv4Packet;
}

// Congestion Experienced, unless the sender said that it knows nothing of that.
void mark_congestion(uint8_t* ip) {
  const int shift = ip[0] >> 4 == 6 ? kIpv6EcnShift : 0;
  if ((ip[1] >> shift & kEcnMask) != 0) ip[1] |= static_cast<uint8_t>(kEcnMask << shift);
}

// Of a whole datagram.
void finish_header(uint8_t* ip, size_t header, size_t total) {
  if (ip[0] >> 4 == 6) {
    store16(ip + kIpv6PayloadLength, static_cast<uint16_t>(total - kIpv6Header));
    return;
  }
  store16(ip + 2, static_cast<uint16_t>(total));
  store16(ip + 6, load16(ip + 6) & kDontFragment);
  set_ip_checksum(ip, header);
}

// Calls visit(at, mask) for each word of blocks between two bytes; `at` is a byte of the word.
template <typename Visit>
void for_each_word(size_t first, size_t behind, Visit&& visit) {
  const size_t end = (behind + kBlock - 1) / kBlock;
  for (size_t block = first / kBlock; block < end;) {
    const size_t begin = block % 64;
    const size_t count = std::min(size_t{64} - begin, end - block);
    const uint64_t ones = count == 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
    visit(block * kBlock, ones << begin);
    block += count;
  }
}

size_t word_of(size_t at) {
  return at % DatagramTable::kChunkBytes / DatagramTable::kWordBytes;
}

}  // namespace

Reassembler::Result Reassembler::add(const uint8_t* frame, uint16_t vlan, uint64_t now_ns) {
  const uint8_t* ip = frame + link_header_;
  const Part part = ip[0] >> 4 == 6 ? read_ipv6(ip, vlan) : read_ipv4(ip, vlan);
  if (complete_ != nullptr) table_.release(*std::exchange(complete_, nullptr));
  Result result;
  DatagramTable::Losses losses;
  table_.expire(now_ns, losses);
  if (part.ipv6 && part.offset == 0 && part.last) {
    add_single(part, now_ns, losses, result);
  } else {
    add_part(part, now_ns, losses, result);
  }
  result.given_up += losses.late;
  result.evicted += losses.evicted;
  return result;
}

void Reassembler::add_part(const Part& part, uint64_t now_ns, DatagramTable::Losses& losses,
                           Result& result) {
  Entry* known = table_.find(part.key);
  Entry& entry = known != nullptr ? *known : table_.start(part.key, now_ns, losses);
  if (entry.given_up) return;
  if (!place(entry, part, now_ns, losses)) {
    table_.give_up(entry, now_ns);
    result.given_up++;
    return;
  }
  if (part.offset == 0 && entry.header == 0) keep_headers(entry, part);
  // RFC 3168, section 5.3: congestion met by one fragment was met by the datagram.
  entry.congestion = entry.congestion || part.congestion;
  const bool whole = entry.header != 0 && entry.payload != 0 &&
                     entry.blocks == (entry.payload + kBlock - 1) / kBlock;
  if (!whole) return;
  // The first fragment may have the longest header.
  if (entry.header + entry.payload > longest(part.ipv6)) {
    table_.give_up(entry, now_ns);
    result.given_up++;
    return;
  }
  table_.detach(entry);
  complete(entry, result);
}

// A datagram whose only fragment this is.
void Reassembler::add_single(const Part& part, uint64_t now_ns, DatagramTable::Losses& losses,
                             Result& result) {
  single_ = Entry{};
  if (!place(single_, part, now_ns, losses)) {
    result.given_up++;
    return;
  }
  keep_headers(single_, part);
  complete(single_, result);
}

void Reassembler::complete(Entry& entry, Result& result) {
  complete_ = &entry;
  result.length = link_header_ + entry.header + entry.payload;
}

void Reassembler::write(uint8_t* frame) {
  const Entry& entry = *complete_;
  const size_t begin = kHeaderRoom - entry.header - link_header_;
  const size_t end = kHeaderRoom + entry.payload;
  for (size_t at = begin; at < end;) {
    const size_t within = at % DatagramTable::kChunkBytes;
    const size_t size = std::min(DatagramTable::kChunkBytes - within, end - at);
    std::memcpy(frame + (at - begin), table_.chunk(entry, at).bytes.data() + within, size);
    at += size;
  }
  uint8_t* ip = frame + link_header_;
  if (entry.congestion) mark_congestion(ip);
  finish_header(ip, entry.header, entry.header + entry.payload);
  table_.release(*std::exchange(complete_, nullptr));
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

// Copies the payload to its place. False if it cannot be part of the same datagram as the others.
bool Reassembler::place(Entry& entry, const Part& part, uint64_t now_ns,
                        DatagramTable::Losses& losses) {
  const size_t end = part.offset + part.size;
  if (part.size == 0 || end + part.header > longest(part.ipv6)) return false;
  if (!part.last && part.size % kBlock != 0) return false;
  // Every fragment agrees with the end as far as it is known.
  if (part.last ? end < entry.farthest || (entry.payload != 0 && end != entry.payload)
                : entry.payload != 0 && end > entry.payload) {
    return false;
  }
  const size_t first = kHeaderRoom + part.offset;
  const size_t behind = kHeaderRoom + end;
  const size_t blocks = (part.size + kBlock - 1) / kBlock;
  const size_t there = count_present(entry, first, behind);
  if (there != 0) return there == blocks;
  if (part.last) entry.payload = end;
  entry.farthest = std::max(entry.farthest, end);
  entry.blocks += blocks;
  table_.reserve(entry, first, behind, now_ns, losses);
  for_each_word(first, behind, [&](size_t at, uint64_t mask) {
    table_.chunk(entry, at).present[word_of(at)] |= mask;
  });
  copy_in(entry, first, part.payload, part.size);
  return true;
}

size_t Reassembler::count_present(const Entry& entry, size_t first, size_t behind) {
  size_t there = 0;
  for_each_word(first, behind, [&](size_t at, uint64_t mask) {
    const DatagramTable::Chunk* chunk = table_.find_chunk(entry, at);
    if (chunk != nullptr)
      there += static_cast<size_t>(std::popcount(chunk->present[word_of(at)] & mask));
  });
  return there;
}

// The part at offset 0 is there, and so is the chunk in which the headers lie.
void Reassembler::keep_headers(Entry& entry, const Part& part) {
  entry.header = part.header;
  const size_t size = link_header_ + part.header;
  uint8_t* ip = table_.chunk(entry, 0).bytes.data() + kHeaderRoom - part.header;
  std::memcpy(ip - link_header_, part.ip - link_header_, size);
  if (part.ipv6) ip[part.next_field] = part.next;
}

void Reassembler::copy_in(const Entry& entry, size_t at, const uint8_t* from, size_t size) {
  while (size > 0) {
    const size_t within = at % DatagramTable::kChunkBytes;
    const size_t piece = std::min(DatagramTable::kChunkBytes - within, size);
    std::memcpy(table_.chunk(entry, at).bytes.data() + within, from, piece);
    at += piece;
    from += piece;
    size -= piece;
  }
}

}  // namespace mcfleet
