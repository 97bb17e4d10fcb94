#pragma once

#include <cstddef>
#include <cstdint>

namespace mcfleet {

// Every way in which a packet can be lost. One list for inputs, relays and outputs, so that a name
// means one thing everywhere.
enum class DropReason : uint8_t {
  // Input: the packet is not a usable UDP datagram.
  kMalformedLinkHeader,
  kMalformedIpVersion,
  kMalformedIpHeaderLength,
  kMalformedIpLength,
  kMalformedIpChecksum,
  kMalformedUdpLength,
  kMalformedOffload,
  kFragment,
  kTooManyFragments,
  kExtensionHeader,
  kVlan,
  kCopyLost,
  // Relay: the packet is one of its own, and yet went to no output.
  kReceiveBufferFull,
  kRateLimited,
  kLoop,
  kDuplicate,
  // Output.
  kTxFull,
  kInterfaceDown,
  kInterfaceMissing,
  kInterfaceType,
  kNoCarrier,
  kNoSocket,
  kMtu,
  kNoRoute,
  kNoNeighbour,
  kNoSource,
  kNotPermitted,
  kTxError,
  kCount,
};

inline constexpr size_t kDropReasonCount = static_cast<size_t>(DropReason::kCount);

// As in the attribute mcfleet.drop.reason.
constexpr const char* drop_reason_name(DropReason reason) {
  switch (reason) {
    case DropReason::kMalformedLinkHeader:
      return "malformed_link_header";
    case DropReason::kMalformedIpVersion:
      return "malformed_ip_version";
    case DropReason::kMalformedIpHeaderLength:
      return "malformed_ip_header_length";
    case DropReason::kMalformedIpLength:
      return "malformed_ip_length";
    case DropReason::kMalformedIpChecksum:
      return "malformed_ip_checksum";
    case DropReason::kMalformedUdpLength:
      return "malformed_udp_length";
    case DropReason::kMalformedOffload:
      return "malformed_offload";
    case DropReason::kFragment:
      return "fragment";
    case DropReason::kTooManyFragments:
      return "too_many_fragments";
    case DropReason::kExtensionHeader:
      return "extension_header";
    case DropReason::kVlan:
      return "vlan";
    case DropReason::kCopyLost:
      return "copy_lost";
    case DropReason::kReceiveBufferFull:
      return "receive_buffer_full";
    case DropReason::kRateLimited:
      return "rate_limited";
    case DropReason::kLoop:
      return "loop";
    case DropReason::kDuplicate:
      return "duplicate";
    case DropReason::kTxFull:
      return "tx_full";
    case DropReason::kInterfaceDown:
      return "interface_down";
    case DropReason::kInterfaceMissing:
      return "interface_missing";
    case DropReason::kInterfaceType:
      return "interface_type";
    case DropReason::kNoCarrier:
      return "no_carrier";
    case DropReason::kNoSocket:
      return "no_socket";
    case DropReason::kMtu:
      return "mtu";
    case DropReason::kNoRoute:
      return "no_route";
    case DropReason::kNoNeighbour:
      return "no_neighbour";
    case DropReason::kNoSource:
      return "no_source";
    case DropReason::kNotPermitted:
      return "not_permitted";
    case DropReason::kTxError:
      return "tx_error";
    case DropReason::kCount:
      break;
  }
  return "";
}

}  // namespace mcfleet
