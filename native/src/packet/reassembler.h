#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "packet/ip_address.h"
#include "packet/parse.h"

namespace mcfleet {

// Puts the fragments of one input's datagrams together (RFC 791, section 3.2; RFC 8200, section
// 4.5).
//
// The kernel would do that for a ring (PACKET_FANOUT_FLAG_DEFRAG), but with one table for all
// interfaces and VLANs of the namespace (ip4_frag_match, net/ipv4/ip_fragment.c): two cameras that
// were delivered with the same address spoil each other's datagrams, though they are on different
// cables.
//
// Fragments that repeat what is there are ignored. Fragments that overlap otherwise, or contradict
// each other about the end, spoil their datagram (RFC 5722 asks that for IPv6). An IPv6 datagram in
// a single fragment belongs to no others (RFC 6946).
class Reassembler final {
 public:
  // Datagrams under way at once. When another one comes, the oldest is given up.
  static constexpr size_t kDatagrams = 64;
  // As net.ipv4.ipfrag_time. Told late: with the next fragment that starts a datagram.
  static constexpr uint64_t kTimeoutNs = 30'000'000'000;

  struct Result {
    // The whole datagram, with the link-layer header and the IP header of its first fragment; null
    // if it is not complete. Valid until the next add().
    const uint8_t* frame = nullptr;
    size_t length = 0;
    // Datagrams that were given up now.
    uint32_t given_up = 0;
  };

  // `link_header`: bytes before the IP header, at most kEthernetHeader. Memory is taken as far as
  // datagrams ever were under way.
  explicit Reassembler(size_t link_header);

  // Takes a fragment, of which parse_frame() said kFragment and of which all was captured.
  Result add(const uint8_t* frame, uint16_t vlan, uint64_t now_ns);

 private:
  // The longest of both families.
  static constexpr size_t kMaxHeader = kMaxIpv6Headers;
  static constexpr size_t kBlock = 8;
  static constexpr size_t kBlocks = (kMaxIpPacket + kBlock) / kBlock;
  // Payload behind room for the headers.
  static constexpr size_t kBufferBytes = 128 + kBlocks * kBlock;
  static_assert(kEthernetHeader + kMaxHeader <= 128);

  enum class State : uint8_t {
    kFree,
    kOpen,
    // Given up; what still comes of it is ignored.
    kSpoiled,
  };

  // What fragments of one datagram have in common.
  struct Key {
    uint32_t id = 0;
    uint16_t vlan = 0;
    IpAddress source;
    IpAddress destination;
    bool operator==(const Key&) const = default;
  };

  struct Entry {
    State state = State::kFree;
    Key key;
    // When its first fragment came.
    uint64_t since_ns = 0;
    // Bytes of the first fragment's IP header, for IPv6 with what every fragment repeats; 0 until
    // it came.
    size_t header = 0;
    // Bytes of payload; 0 until the last fragment came.
    size_t payload = 0;
    // End of what reaches farthest.
    size_t farthest = 0;
    // Blocks of 8 bytes that are there.
    size_t blocks = 0;
    // Whether a fragment carried the mark Congestion Experienced.
    bool congestion = false;
    std::array<uint8_t, kEthernetHeader + kMaxHeader> headers{};
    std::array<uint64_t, (kBlocks + 63) / 64> present{};
  };

  // One fragment.
  struct Part {
    Key key;
    const uint8_t* ip = nullptr;
    bool ipv6 = false;
    // Bytes of its IP header, without a fragment header.
    size_t header = 0;
    // IPv6: where that says what comes next, and what comes next behind the fragment header.
    size_t next_field = 0;
    uint8_t next = 0;
    const uint8_t* payload = nullptr;
    size_t offset = 0;
    size_t size = 0;
    bool last = false;
    bool congestion = false;
  };

  static Part read_ipv4(const uint8_t* ip, uint16_t vlan);
  static Part read_ipv6(const uint8_t* ip, uint16_t vlan);
  Entry& entry_for(const Key& key, uint64_t now_ns, Result& result);
  [[nodiscard]] bool place(Entry& entry, const Part& part) const;
  void keep_headers(Entry& entry, const Part& part) const;
  void finish(Entry& entry, Result& result) const;
  void finish_single(const Part& part, Result& result);
  static void mark_congestion(uint8_t* ip);
  [[nodiscard]] uint8_t* buffer(const Entry& entry) const;

  const size_t link_header_;
  std::array<Entry, kDatagrams> entries_{};
  // For datagrams in a single fragment.
  Entry single_;
  std::unique_ptr<uint8_t[]> buffers_;
};

}  // namespace mcfleet
