#include "forwarder/train.h"

#include <cstring>

#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/identification.h"
#include "packet/ipv6_headers.h"
#include "packet/rewrite.h"

namespace mcfleet {
namespace {

// Of a super-frame, of either family: IPv6 would allow for a little more.
constexpr size_t kLongest = kMaxIpv4Packet;

size_t payload_of_datagram(const Datagram& datagram) {
  return datagram.udp_length - kUdpHeader;
}

size_t segment_of(const Datagram& datagram) {
  return datagram.segments > 1 ? datagram.segment_size : payload_of_datagram(datagram);
}

bool checksum_is_right(const Datagram& datagram, const uint8_t* ip) {
  return datagram.checksum == UdpChecksum::kPartial ||
         datagram.checksum == UdpChecksum::kVerified ||
         (datagram.checksum == UdpChecksum::kFinished && finished_checksum_is_right(ip, datagram));
}

// Whether the headers are equal but for lengths, checksums and the identification. Addresses and
// ports are equal, for it is one flow.
bool same_headers(const uint8_t* a, const uint8_t* b) {
  if (a[0] >> 4 == 6) {
    // Addresses as well: of these only digests were compared.
    return std::memcmp(a, b, kIpv6PayloadLength) == 0 &&
           std::memcmp(a + kIpv6NextHeader, b + kIpv6NextHeader, kIpv6Header - kIpv6NextHeader) ==
               0;
  }
  constexpr size_t kFlags = 6;  // with fragment offset, TTL and protocol behind it
  return std::memcmp(a, b, 2) == 0 && std::memcmp(a + kFlags, b + kFlags, 4) == 0;
}

}  // namespace

Datagram Train::datagram(size_t index) const {
  // Alone it may have what others in a train may not, such as a surplus behind it.
  if (size_ == 1) return first_;
  const size_t payload = payload_of(index);
  Datagram datagram = first_;
  datagram.udp_length = static_cast<uint16_t>(kUdpHeader + payload);
  datagram.ip_length = uint32_t{datagram.ip_header} + datagram.udp_length;
  datagram.segments = static_cast<uint16_t>((payload + segment() - 1) / segment());
  datagram.segment_size = datagram.segments > 1 ? static_cast<uint16_t>(segment()) : uint16_t{0};
  return datagram;
}

Datagram Train::merged() const {
  if (size_ == 1) return first_;
  Datagram super = first_;
  super.segments = static_cast<uint16_t>(datagrams_);
  super.segment_size = static_cast<uint16_t>(segment());
  super.udp_length = static_cast<uint16_t>(kUdpHeader + payload_);
  super.ip_length = uint32_t{super.ip_header} + super.udp_length;
  super.checksum = UdpChecksum::kVerified;
  return super;
}

void Train::write_headers(uint8_t* to) const {
  const Datagram super = merged();
  std::memcpy(to, packets_[0], headers());
  if (super.ipv6) {
    store16(to + kIpv6PayloadLength, super.udp_length);
  } else {
    store16(to + 2, static_cast<uint16_t>(super.ip_length));
    set_ip_checksum(to, kIpv4Header);
  }
  store16(to + super.ip_header + 4, super.udp_length);
}

void Train::write_payload(uint8_t* to) const {
  for (size_t i = 0; i < size_; i++) {
    std::memcpy(to, packets_[i] + headers(), payload_of(i));
    to += payload_of(i);
  }
}

void Train::identify(uint16_t first) {
  uint16_t next = first;
  for (size_t i = 0; i < size_; i++) {
    set_identification(packets_[i], next);
    next = static_cast<uint16_t>(next + datagram(i).segments);
  }
}

void Train::start(const Datagram& datagram, uint8_t* ip, uint64_t time_ns, bool checksum_right) {
  first_ = datagram;
  size_ = 1;
  datagrams_ = datagram.segments;
  packets_[0] = ip;
  payload_ = payload_of_datagram(datagram);
  payloads_[0] = static_cast<uint16_t>(payload_);
  last_identification_ = load16(ip + 4);
  times_[0] = time_ns;
  checksum_right_ = checksum_right;
}

bool Train::append(const Datagram& datagram, uint8_t* ip, uint64_t time_ns) {
  const size_t payload = payload_of_datagram(datagram);
  if (datagram.segments > 1 ? datagram.segment_size != segment() : payload > segment())
    return false;
  if (headers() + payload_ + payload > kLongest) return false;
  if (datagrams_ + datagram.segments > kMaxDatagrams) return false;
  packets_[size_] = ip;
  payloads_[size_] = static_cast<uint16_t>(payload);
  times_[size_++] = time_ns;
  datagrams_ += datagram.segments;
  payload_ += payload;
  last_identification_ = load16(ip + 4);
  return true;
}

void Train::take_over(const Train& from, size_t index) {
  if (size_ == 0) {
    start(from.datagram(index), from.packets_[index], from.time_ns(index), from.checksum_right_);
    return;
  }
  // A part of what fits one train does so as well.
  append(from.datagram(index), from.packets_[index], from.time_ns(index));
}

uint16_t Train::next_identification() const {
  return static_cast<uint16_t>(load16(packets_[0] + 4) + datagrams_);
}

bool Train::has_given(uint16_t identification) const {
  if (identification == last_identification_) return false;
  const auto first = static_cast<uint16_t>(load16(packets_[0] + 4) - (kMaxDatagrams - 1));
  return static_cast<uint16_t>(identification - first) < kMaxDatagrams - 1 + datagrams_;
}

size_t Train::segment() const {
  return segment_of(first_);
}

Trains::Trains() : trains_(std::make_unique<Train[]>(kFlows)) {
  forget();
}

Train* Trains::find(const Datagram& datagram) {
  const Key key{uint64_t{datagram.source} << 32 | datagram.destination,
                uint32_t{datagram.source_port} << 16 | datagram.destination_port, datagram.vlan};
  const uint64_t mixed =
      (key.addresses ^ key.ports ^ uint64_t{key.vlan} << 48) * 0x9e3779b97f4a7c15U;
  size_t bucket = mixed >> 32 & (kBuckets - 1);
  for (; buckets_[bucket] != kFree; bucket = (bucket + 1) & (kBuckets - 1)) {
    if (keys_[buckets_[bucket]] == key) return &trains_[buckets_[bucket]];
  }
  if (used_ == kFlows) return nullptr;
  buckets_[bucket] = static_cast<uint8_t>(used_);
  keys_[used_] = key;
  return &trains_[used_++];
}

bool Trains::join(Train& train, const Datagram& datagram, uint8_t* ip, uint64_t time_ns,
                  bool checksum_right) {
  if (!may_start(datagram, ip) || !same_headers(train.packet(0), ip)) return false;
  // Where an output takes the train apart, each datagram is rewritten as the first one is.
  if (datagram.checksum != train.first().checksum) return false;
  if (train.first().repeated != datagram.repeated) return false;
  // Segments count up from the first one's (inet_gso_segment). Who forbids fragments leaves the
  // field to others (RFC 6864, section 4.1); another keeps an identification of its own, and so
  // does what may be looked for by it. IPv6 has none.
  const uint16_t next = train.next_identification();
  const bool in_turn = datagram.ipv6 || load16(ip + 4) == next;
  if (!datagram.ipv6) {
    const bool lacks = lacks_identification(ip);
    // All of a train are given identifications, or none.
    if (lacks != lacks_identification(train.packet(0))) return false;
    const bool may_change = lacks || (!datagram.keeps_identification &&
                                      (datagram.dont_fragment || train.has_given(load16(ip + 4))));
    if (!in_turn && !may_change) return false;
  }
  // Summing up is left until somebody follows: who is alone needs none of it.
  if (!train.checksum_right_) {
    train.checksum_right_ = checksum_is_right(train.first(), train.packet(0));
    if (!train.checksum_right_) return false;
  }
  if (!checksum_right && !checksum_is_right(datagram, ip)) return false;
  if (!train.append(datagram, ip, time_ns)) return false;
  // Also where an output takes the train apart.
  if (!in_turn) set_identification(ip, next);
  return true;
}

bool Trains::may_start(const Datagram& datagram, const uint8_t* ip) {
  // Neither options, nor extension headers, nor a surplus behind the datagram; a payload, for a
  // segment without one cannot be cut off; a checksum, for those who cut make one.
  return datagram.ip_header == (ip[0] >> 4 == 6 ? kIpv6Header : kIpv4Header) &&
         datagram.ip_header + datagram.udp_length == datagram.ip_length &&
         datagram.udp_length > kUdpHeader && datagram.checksum != UdpChecksum::kNone;
}

bool Trains::may_grow(const Train& train) {
  return train.datagrams_ < Train::kMaxDatagrams &&
         train.payload_ == train.datagrams_ * train.segment() &&
         train.headers() + train.payload_ < kLongest;
}

void Trains::forget() {
  used_ = 0;
  buckets_.fill(kFree);
}

}  // namespace mcfleet
