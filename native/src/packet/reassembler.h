#pragma once

#include <cstddef>
#include <cstdint>

#include "packet/datagram_table.h"
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
  struct Result {
    // Bytes of the whole datagram, with the link-layer header and the IP header of its first
    // fragment; 0 if it is not complete.
    size_t length = 0;
    // Datagrams that were given up now because they are spoiled, or were not whole in time.
    uint32_t given_up = 0;
    // Datagrams that were given up now because too many are under way.
    uint32_t evicted = 0;
  };

  // `link_header`: bytes before the IP header, at most kEthernetHeader.
  explicit Reassembler(size_t link_header) : link_header_(link_header) {}

  // Takes a fragment, of which parse_frame() said kFragment and of which all was captured.
  Result add(const uint8_t* frame, uint16_t vlan, uint64_t now_ns);
  // Writes the datagram that the last add() completed to `frame`.
  void write(uint8_t* frame);

 private:
  using Entry = DatagramTable::Entry;

  // One fragment.
  struct Part {
    DatagramTable::Key key;
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
  void add_part(const Part& part, uint64_t now_ns, DatagramTable::Losses& losses, Result& result);
  void add_single(const Part& part, uint64_t now_ns, DatagramTable::Losses& losses, Result& result);
  void complete(Entry& entry, Result& result);
  bool place(Entry& entry, const Part& part, uint64_t now_ns, DatagramTable::Losses& losses);
  size_t count_present(const Entry& entry, size_t first, size_t behind);
  void keep_headers(Entry& entry, const Part& part);
  void copy_in(const Entry& entry, size_t at, const uint8_t* from, size_t size);

  const size_t link_header_;
  DatagramTable table_;
  // For datagrams in a single fragment.
  Entry single_;
  // What add() completed, until its memory is given back.
  Entry* complete_ = nullptr;
};

}  // namespace mcfleet
