// Any bytes as a vnet header, a frame and a rewrite, through everything that the packet path does
// with them.
#include <cstdlib>
#include <cstring>
#include <vector>

#include "packet/bytes.h"
#include "packet/checksum.h"
#include "packet/fragment.h"
#include "packet/ipv6_fragment.h"
#include "packet/ipv6_headers.h"
#include "packet/parse.h"
#include "packet/rewrite.h"
#include "packet/segment.h"

using namespace mcfleet;

namespace {

void require(bool condition) {
  if (!condition) std::abort();
}

// Fragments cover the packet, fit the MTU, and are well-formed.
void fragment(const uint8_t* ip, const Datagram& datagram, size_t mtu) {
  Fragmenter fragmenter(ip, datagram.ip_header, datagram.ip_length, mtu, 7, datagram.dont_fragment);
  std::vector<uint8_t> out(mtu);
  size_t payload = 0;
  while (const size_t size = fragmenter.next(out.data())) {
    require(size <= mtu && load16(out.data() + 2) == size);
    require(sum_bytes(out.data(), datagram.ip_header) == 0xffff);
    payload += size - datagram.ip_header;
  }
  require(!fragmenter.possible() || payload == size_t{datagram.ip_length} - datagram.ip_header);
}

void fragment_ipv6(const uint8_t* ip, const Datagram& datagram, size_t mtu) {
  Ipv6Fragmenter fragmenter(ip, datagram.ip_length, mtu, 7);
  std::vector<uint8_t> out(mtu);
  const size_t repeated = read_ipv6_headers(ip, datagram.ip_length).per_fragment;
  size_t payload = 0;
  size_t count = 0;
  while (const size_t size = fragmenter.next(out.data())) {
    require(size <= mtu && load16(out.data() + kIpv6PayloadLength) + kIpv6Header == size);
    const Ipv6Headers headers = read_ipv6_headers(out.data(), size);
    require(headers.end == Ipv6Headers::End::kFragment && headers.length == repeated);
    require((load16(out.data() + repeated + 2) & 0xfff8) == payload);
    payload += size - repeated - kIpv6FragmentHeader;
    count++;
  }
  require(count == fragmenter.count());
  require(!fragmenter.possible() || payload == size_t{datagram.ip_length} - repeated);
}

void fragment_any(const uint8_t* ip, const Datagram& datagram, size_t mtu) {
  if (datagram.ipv6) {
    fragment_ipv6(ip, datagram, mtu);
  } else {
    fragment(ip, datagram, mtu);
  }
}

void segment(const uint8_t* ip, const Datagram& super, size_t mtu) {
  Segmenter segmenter(ip, super);
  std::vector<uint8_t> out(kMaxIpPacket);
  Datagram datagram;
  size_t payload = 0;
  size_t segments = 0;
  while (segmenter.next(out.data(), datagram)) {
    Datagram again;
    require(parse_frame(out.data(), datagram.ip_length, datagram.ip_length, 0, {}, again).status ==
            ParseStatus::kOk);
    payload += datagram.udp_length - kUdpHeader;
    segments++;
    require(again.ipv6 == super.ipv6);
    fragment_any(out.data(), datagram, mtu);
  }
  require(segments == super.segments && payload == super.udp_length - kUdpHeader);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kChoices = 14;
  VnetHeader offload;
  if (size < sizeof(offload) + kChoices) return 0;
  std::memcpy(&offload, data, sizeof(offload));
  const uint8_t* choices = data + sizeof(offload);
  Rewrite rewrite{load32(choices), load32(choices + 4), load16(choices + 8),
                  choices[10],     load16(choices + 6), static_cast<uint8_t>(choices[11] >> 2)};
  const size_t link_header = (choices[11] & 1) != 0 ? 14 : 0;
  const size_t mtu = load16(choices + 12);

  const std::vector<uint8_t> frame(choices + kChoices, data + size);
  // A slot may hold less than the whole frame.
  const size_t length = frame.size() + ((choices[11] & 2) != 0 ? 1000 : 0);
  Datagram datagram;
  const ParseResult parsed =
      parse_frame(frame.data(), frame.size(), length, link_header, offload, datagram);
  if (parsed.status != ParseStatus::kOk) {
    require(parsed.status == ParseStatus::kNotUdp || *drop_reason_name(parsed.reason) != '\0');
    return 0;
  }
  if (frame.size() < link_header + datagram.ip_length) return 0;

  const auto ip = frame.begin() + static_cast<long>(link_header);
  std::vector<uint8_t> copy(ip, ip + datagram.ip_length);
  // The family decides which addresses are given.
  Ipv6Addresses addresses;
  std::memcpy(addresses.destination.data(), choices, kChoices);
  std::memcpy(addresses.source.data() + 1, choices, kChoices);
  addresses.keep_source = (choices[10] & 1) != 0;
  if (datagram.ipv6) rewrite.ipv6 = &addresses;
  const bool right = datagram.segments == 1 && datagram.checksum == UdpChecksum::kFinished &&
                     finished_checksum_is_right(copy.data(), datagram);
  rewrite_datagram(copy.data(), datagram, rewrite);
  require(datagram.ipv6 || sum_bytes(copy.data(), datagram.ip_header) == 0xffff);
  if (datagram.segments > 1) {
    segment(copy.data(), datagram, mtu);
    return 0;
  }
  if (datagram.checksum == UdpChecksum::kPartial) finish_checksum(copy.data(), datagram);
  Datagram again;
  require(parse_frame(copy.data(), copy.size(), copy.size(), 0, {}, again).status ==
          ParseStatus::kOk);
  require(again.ttl != 0);
  if (datagram.ipv6) {
    require(std::memcmp(copy.data() + kIpv6Destination, addresses.destination.data(),
                        kIpv6Address) == 0);
  } else {
    require(again.destination == rewrite.destination);
  }
  // Right stays right, and wrong stays wrong.
  if (datagram.checksum == UdpChecksum::kFinished) {
    require(finished_checksum_is_right(copy.data(), again) == right);
  }
  fragment_any(copy.data(), datagram, mtu);
  return 0;
}
