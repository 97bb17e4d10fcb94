#include "packet/ipv6_fragment.h"

#include <algorithm>
#include <cstring>

#include "packet/bytes.h"
#include "packet/ipv6_headers.h"
#include "packet/parse.h"

namespace mcfleet {
namespace {

constexpr uint8_t kFragment = 44;

}  // namespace

Ipv6Fragmenter::Ipv6Fragmenter(const uint8_t* ip, size_t length, size_t mtu, uint32_t id)
    : ip_(ip), header_(read_ipv6_headers(ip, length).per_fragment), id_(id) {
  // With options for hops their header says what comes next, otherwise the IPv6 header.
  next_field_ = header_ > kIpv6Header ? kIpv6Header : kIpv6NextHeader;
  payload_ = length - header_;
  const size_t headers = header_ + kIpv6FragmentHeader;
  step_ = mtu >= headers + 8 ? (mtu - headers) & ~size_t{7} : 0;
}

size_t Ipv6Fragmenter::count() const {
  return step_ == 0 ? 0 : (payload_ + step_ - 1) / step_;
}

size_t Ipv6Fragmenter::next(uint8_t* out) {
  if (step_ == 0 || offset_ >= payload_) return 0;
  const size_t size = std::min(step_, payload_ - offset_);
  const bool more = offset_ + size < payload_;
  std::memcpy(out, ip_, header_);
  uint8_t* fragment = out + header_;
  fragment[0] = ip_[next_field_];
  fragment[1] = 0;
  store16(fragment + 2, static_cast<uint16_t>(offset_ | (more ? 1 : 0)));
  store32(fragment + 4, id_);
  out[next_field_] = kFragment;
  std::memcpy(fragment + kIpv6FragmentHeader, ip_ + header_ + offset_, size);
  const size_t total = header_ + kIpv6FragmentHeader + size;
  store16(out + kIpv6PayloadLength, static_cast<uint16_t>(total - kIpv6Header));
  offset_ += size;
  return total;
}

}  // namespace mcfleet
