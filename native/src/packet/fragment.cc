#include "packet/fragment.h"

#include <algorithm>
#include <cstring>

#include "packet/bytes.h"
#include "packet/parse.h"
#include "packet/rewrite.h"

namespace mcfleet {
namespace {

constexpr uint16_t kMoreFragments = 0x2000;
constexpr uint16_t kDontFragment = 0x4000;
constexpr uint8_t kOptionEnd = 0;
constexpr uint8_t kOptionNoop = 1;
constexpr uint8_t kOptionCopied = 0x80;

// Options without the copied flag belong into the first fragment only. They become no-operations,
// as in ip_options_fragment (net/ipv4/ip_options.c), so that all headers have one length.
void blank_uncopied_options(uint8_t* options, size_t size) {
  size_t i = 0;
  while (i < size && options[i] != kOptionEnd) {
    if (options[i] == kOptionNoop) {
      i += 1;
      continue;
    }
    if (i + 1 >= size) return;
    const size_t length = options[i + 1];
    if (length < 2 || length > size - i) return;
    if ((options[i] & kOptionCopied) == 0) std::memset(options + i, kOptionNoop, length);
    i += length;
  }
}

}  // namespace

Fragmenter::Fragmenter(const uint8_t* ip, size_t header, size_t length, size_t mtu, uint16_t id,
                       bool keep_dont_fragment)
    : ip_(ip),
      header_(header),
      payload_(length - header),
      step_(mtu >= header + 8 ? (mtu - header) & ~size_t{7} : 0),
      id_(id),
      flags_(keep_dont_fragment ? kDontFragment : uint16_t{0}) {}

size_t Fragmenter::count() const {
  return step_ == 0 ? 0 : (payload_ + step_ - 1) / step_;
}

size_t Fragmenter::next(uint8_t* out) {
  if (step_ == 0 || offset_ >= payload_) return 0;
  const size_t size = std::min(step_, payload_ - offset_);
  const bool more = offset_ + size < payload_;
  std::memcpy(out, ip_, header_);
  std::memcpy(out + header_, ip_ + header_ + offset_, size);
  if (offset_ > 0) blank_uncopied_options(out + kIpv4Header, header_ - kIpv4Header);
  store16(out + 2, static_cast<uint16_t>(header_ + size));
  store16(out + 4, id_);
  store16(out + 6, static_cast<uint16_t>(flags_ | (more ? kMoreFragments : 0) | offset_ / 8));
  set_ip_checksum(out, header_);
  offset_ += size;
  return header_ + size;
}

}  // namespace mcfleet
