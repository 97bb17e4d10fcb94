#include "ingress/claim_program.h"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <netinet/in.h>

#include "ingress/bpf_code.h"
#include "packet/bytes.h"

namespace mcfleet {
namespace {

// enum tcx_action_base: others are taken for kNext (tcx_action_code, include/net/tcx.h).
constexpr int32_t kNext = -1;
constexpr int32_t kDrop = 2;

constexpr int kIpv4Header = 20;
constexpr int kIpv4FragmentField = 6;
constexpr int kIpv4Protocol = 9;
constexpr int kIpv4Destination = 16;
constexpr int kIpv6Header = 40;
constexpr int kIpv6NextHeader = 6;
constexpr int kIpv6Destination = 24;
constexpr int kUdpDestinationPort = 2;
// More fragments, or an offset.
constexpr uint16_t kFragmentMask = 0x3fff;

// Registers 6 to 9 outlive calls; 10 is the end of the stack.
constexpr uint8_t kContext = 6;
constexpr uint8_t kPort = 7;
constexpr uint8_t kStack = 10;
// Places on the stack: the key, and before it the headers.
constexpr int kKey = -24;
constexpr int kHeaders = -72;
static_assert(kKey + static_cast<int>(sizeof(ClaimKey)) <= 0);
static_assert(kHeaders + kIpv6Header + 4 <= kKey);

enum Label : BpfCode::Label { kPass, kIpv6, kLookUp, kTaken };

// Copies the IP header and the ports behind it onto the stack. What is shorter passes.
void load_headers(BpfCode& code, size_t link_header, int ip_header) {
  code.copy(1, kContext);
  code.set(2, static_cast<int32_t>(link_header));
  code.copy(3, kStack);
  code.add(3, kHeaders);
  code.set(4, ip_header + 4);
  code.call(BPF_FUNC_skb_load_bytes);
  code.jump_if(BPF_JNE, 0, 0, kPass);
}

void pass_unless_byte(BpfCode& code, int offset, uint8_t bits, uint8_t value) {
  code.load(BPF_B, 1, kStack, kHeaders + offset);
  if (bits != 0xff) code.mask(1, bits);
  code.jump_if(BPF_JNE, 1, value, kPass);
}

// The address at `offset` into the key, of which it is the last `words`.
void set_address(BpfCode& code, int offset, int words) {
  for (int i = 0; i < 4; i++) {
    const int word = i - (4 - words);
    const int place = kKey + 4 * i;
    if (word < 0) {
      code.store_value(BPF_W, kStack, place, 0);
    } else {
      code.load(BPF_W, 1, kStack, kHeaders + offset + 4 * word);
      code.store(BPF_W, kStack, place, 1);
    }
  }
}

void set_port_and_family(BpfCode& code, int ip_header, uint16_t family) {
  code.load(BPF_H, kPort, kStack, kHeaders + ip_header + kUdpDestinationPort);
  code.store_value(BPF_H, kStack, kKey + static_cast<int>(offsetof(ClaimKey, family)), family);
}

void look_up(BpfCode& code, int claims) {
  code.load_map(1, claims);
  code.copy(2, kStack);
  code.add(2, kKey);
  code.call(BPF_FUNC_map_lookup_elem);
  code.jump_if(BPF_JNE, 0, 0, kTaken);
}

}  // namespace

ClaimKey ClaimKey::of(const Claim& claim) {
  ClaimKey key;
  if (claim.address.is_ipv4()) {
    store32(key.address.data() + 12, claim.address.ipv4());
    key.family = 4;
  } else {
    claim.address.write_ipv6(key.address.data());
    key.family = 6;
  }
  store16(key.port.data(), claim.port);
  return key;
}

std::vector<bpf_insn> claim_program(int claims, size_t link_header) {
  BpfCode code;
  code.copy(kContext, 1);
  // What comes back of this host's own (PACKET_LOOPBACK) goes by packet sockets, and so does what
  // is for another station by the relays.
  static_assert(PACKET_HOST == 0 && PACKET_BROADCAST == 1 && PACKET_MULTICAST == 2);
  code.load(BPF_W, 1, kContext, offsetof(__sk_buff, pkt_type));
  code.jump_if(BPF_JGT, 1, PACKET_MULTICAST, kPass);
  code.load(BPF_W, 1, kContext, offsetof(__sk_buff, vlan_present));
  code.jump_if(BPF_JNE, 1, 0, kPass);
  code.load(BPF_W, 1, kContext, offsetof(__sk_buff, protocol));
  code.jump_if(BPF_JEQ, 1, htons(ETH_P_IPV6), kIpv6);
  code.jump_if(BPF_JNE, 1, htons(ETH_P_IP), kPass);

  load_headers(code, link_header, kIpv4Header);
  // Version 4, no options.
  pass_unless_byte(code, 0, 0xff, 0x45);
  pass_unless_byte(code, kIpv4Protocol, 0xff, IPPROTO_UDP);
  code.load(BPF_H, 1, kStack, kHeaders + kIpv4FragmentField);
  code.mask(1, htons(kFragmentMask));
  code.jump_if(BPF_JNE, 1, 0, kPass);
  set_address(code, kIpv4Destination, 1);
  set_port_and_family(code, kIpv4Header, 4);
  code.jump(kLookUp);

  code.place(kIpv6);
  load_headers(code, link_header, kIpv6Header);
  pass_unless_byte(code, 0, 0xf0, 0x60);
  pass_unless_byte(code, kIpv6NextHeader, 0xff, IPPROTO_UDP);
  set_address(code, kIpv6Destination, 4);
  set_port_and_family(code, kIpv6Header, 6);

  code.place(kLookUp);
  code.store(BPF_H, kStack, kKey + static_cast<int>(offsetof(ClaimKey, port)), kPort);
  look_up(code, claims);
  code.store_value(BPF_H, kStack, kKey + static_cast<int>(offsetof(ClaimKey, port)), 0);
  look_up(code, claims);

  code.place(kPass);
  code.exit(kNext);
  code.place(kTaken);
  code.exit(kDrop);
  return code.take();
}

}  // namespace mcfleet
