#include "probe/transmitter.h"

#include <linux/if_arp.h>
#include <linux/if_packet.h>
#include <linux/udp.h>
#include <net/ethernet.h>

#include <algorithm>
#include <charconv>

#include "netlink/dump.h"
#include "probe/payload.h"
#include "probe/socket_options.h"

namespace mcfleet::probe {

namespace {

// Large enough that the sender seldom waits for the receiver of a slow link.
constexpr int kSendBufferBytes = 4 << 20;
constexpr std::uint16_t kRawSourcePort = 40000;
constexpr std::size_t kIpv6Bytes = 40;

Status set_common_options(int socket) {
  // A blocked send must come back to see that it is to stop.
  const timeval patience{0, 100'000};
  if (Status set = set_option(socket, SOL_SOCKET, SO_SNDTIMEO, patience, "SO_SNDTIMEO"); !set) {
    return set;
  }
  return set_option(socket, SOL_SOCKET, SO_SNDBUF, kSendBufferBytes, "SO_SNDBUF");
}

Status set_ipv6_options(int socket, const SendOptions& options) {
  if (Status set = set_common_options(socket); !set) return set;
  if (Status set = set_option(socket, IPPROTO_IPV6, IPV6_RECVERR, 1, "IPV6_RECVERR"); !set) {
    return set;
  }
  const int hops = options.ttl;
  if (!options.destination.is_group()) {
    if (Status set = set_option(socket, IPPROTO_IPV6, IPV6_UNICAST_HOPS, hops, "IPV6_UNICAST_HOPS");
        !set) {
      return set;
    }
    return set_option(socket, SOL_SOCKET, SO_BINDTOIFINDEX, options.ifindex, "SO_BINDTOIFINDEX");
  }
  if (Status set =
          set_option(socket, IPPROTO_IPV6, IPV6_MULTICAST_IF, options.ifindex, "IPV6_MULTICAST_IF");
      !set) {
    return set;
  }
  if (Status set =
          set_option(socket, IPPROTO_IPV6, IPV6_MULTICAST_HOPS, hops, "IPV6_MULTICAST_HOPS");
      !set) {
    return set;
  }
  return set_option(socket, IPPROTO_IPV6, IPV6_MULTICAST_LOOP, 0, "IPV6_MULTICAST_LOOP");
}

Status set_ip_options(int socket, const SendOptions& options) {
  if (Status set = set_common_options(socket); !set) return set;
  // Without this the kernel drops a datagram that finds a full queue and says that it was sent
  // (udp_send_skb).
  if (Status set = set_option(socket, IPPROTO_IP, IP_RECVERR, 1, "IP_RECVERR"); !set) return set;
  if (!options.destination.is_group()) {
    if (Status set = set_option(socket, IPPROTO_IP, IP_TTL, int{options.ttl}, "IP_TTL"); !set) {
      return set;
    }
    return set_option(socket, SOL_SOCKET, SO_BINDTOIFINDEX, options.ifindex, "SO_BINDTOIFINDEX");
  }
  ip_mreqn interface {};
  interface.imr_ifindex = options.ifindex;
  if (Status set = set_option(socket, IPPROTO_IP, IP_MULTICAST_IF, interface, "IP_MULTICAST_IF");
      !set) {
    return set;
  }
  if (Status set =
          set_option(socket, IPPROTO_IP, IP_MULTICAST_TTL, int{options.ttl}, "IP_MULTICAST_TTL");
      !set) {
    return set;
  }
  return set_option(socket, IPPROTO_IP, IP_MULTICAST_LOOP, 0, "IP_MULTICAST_LOOP");
}

// EADDRNOTAVAIL if the source is not one of this host's.
Result<UniqueFd> open_sending_socket(const SendOptions& options, std::uint32_t flow) {
  auto opened = open_udp_socket(options.destination);
  if (!opened) return opened.error();
  UniqueFd socket = std::move(opened.value());
  const bool ipv4 = options.destination.is_ipv4();
  Status prepared =
      ipv4 ? set_ip_options(socket.get(), options) : set_ipv6_options(socket.get(), options);
  if (!prepared) return prepared.error();
  const auto port =
      static_cast<std::uint16_t>(options.source_port ? *options.source_port + flow : 0);
  const Endpoint local = options.source ? ip_endpoint(*options.source, port, options.ifindex)
                                        : any_endpoint(ipv4, port);
  if (::bind(socket.get(), local.get(), local.length) < 0) {
    return Error::from_errno("bind a UDP socket to " +
                             (options.source ? text(*options.source) : "any address") + ", port " +
                             std::to_string(port));
  }
  const Endpoint remote = ip_endpoint(options.destination, options.port, options.ifindex);
  if (::connect(socket.get(), remote.get(), remote.length) < 0) {
    return Error::from_errno("connect a UDP socket to " + text(options.destination));
  }
  Endpoint chosen;
  if (::getsockname(socket.get(), chosen.get(), &chosen.length) < 0) {
    return Error::from_errno("getsockname");
  }
  if (address_of(chosen.storage).none()) {
    return Error{EADDRNOTAVAIL, std::string("the interface has no ") + (ipv4 ? "IPv4" : "IPv6") +
                                    " address to send from"};
  }
  if (options.segments > 1) {
    const int size = static_cast<int>(options.size);
    if (Status set = set_option(socket.get(), IPPROTO_UDP, UDP_SEGMENT, size, "UDP_SEGMENT");
        !set) {
      return set.error();
    }
  }
  return socket;
}

Result<netlink::InterfaceFacts> find_interface(int ifindex) {
  auto interfaces = netlink::dump_interfaces();
  if (!interfaces) return interfaces.error();
  for (auto& facts : interfaces.value()) {
    if (facts.index == ifindex) return std::move(facts);
  }
  return Error{ENODEV, "interface index " + std::to_string(ifindex)};
}

// The first IPv4 address; 0 if there is none.
std::uint32_t ipv4_address(const netlink::InterfaceFacts& facts) {
  for (const std::string& address : facts.addresses) {
    in_addr value{};
    if (::inet_pton(AF_INET, address.substr(0, address.find('/')).c_str(), &value) == 1) {
      return ntohl(value.s_addr);
    }
  }
  return 0;
}

MacAddress mac_address(const std::string& text) {
  MacAddress mac{};
  for (std::size_t i = 0; i < mac.size() && 3 * i + 2 <= text.size(); ++i) {
    std::from_chars(text.data() + 3 * i, text.data() + 3 * i + 2, mac[i], 16);
  }
  return mac;
}

}  // namespace

Result<Transmitter> Transmitter::open(const SendOptions& options) {
  const auto facts = find_interface(options.ifindex);
  if (!facts) return facts.error();
  const std::size_t headers = (options.destination.is_ipv4() ? kIpBytes : kIpv6Bytes) + kUdpBytes;
  if (options.segments > 1 && headers + options.size > facts.value().mtu) {
    return Error{EMSGSIZE, "segments are not fragmented: the payload of " +
                               std::to_string(options.size) + " bytes is larger than the MTU of " +
                               std::to_string(facts.value().mtu) + " leaves"};
  }
  Transmitter transmitter;
  if (!options.raw) {
    const Status opened = transmitter.open_udp(options);
    if (opened) return transmitter;
    // A source that is not ours cannot be had from a UDP socket.
    if (!options.source || opened.error().code != EADDRNOTAVAIL) return opened.error();
    if (options.segments > 1) {
      return Error{EADDRNOTAVAIL, "segments need a source address of this host"};
    }
  }
  if (Status opened = transmitter.open_raw(options, facts.value()); !opened) return opened.error();
  return transmitter;
}

std::size_t Transmitter::first_byte() const {
  switch (kind_) {
    case Kind::packet:
      return 0;
    case Kind::ip:
      return kEthernetBytes;
    default:
      return kFrameHeaderBytes;
  }
}

FrameAddresses Transmitter::addresses(std::uint32_t flow) const {
  FrameAddresses addresses = addresses_;
  addresses.source_port = static_cast<std::uint16_t>(addresses.source_port + flow);
  return addresses;
}

Status Transmitter::open_udp(const SendOptions& options) {
  kind_ = Kind::udp;
  for (std::uint32_t flow = 0; flow < options.flows; ++flow) {
    auto socket = open_sending_socket(options, flow);
    if (!socket) {
      sockets_.clear();
      return socket.error();
    }
    sockets_.push_back(std::move(socket.value()));
  }
  return {};
}

Status Transmitter::open_raw(const SendOptions& options, const netlink::InterfaceFacts& facts) {
  if (kIpBytes + kUdpBytes + options.size > facts.mtu) {
    return Error{EMSGSIZE, "raw packets are not fragmented: the payload of " +
                               std::to_string(options.size) + " bytes is larger than the MTU of " +
                               std::to_string(facts.mtu) + " leaves, " +
                               std::to_string(facts.mtu - kIpBytes - kUdpBytes)};
  }
  if (!options.destination.is_ipv4()) {
    return Error{EAFNOSUPPORT, "packets of its own making the probe sends as IPv4 only"};
  }
  addresses_.source = options.source ? options.source->ipv4() : ipv4_address(facts);
  if (addresses_.source == 0) {
    return Error{EADDRNOTAVAIL, "the interface has no IPv4 address to send from"};
  }
  addresses_.source_mac = mac_address(facts.mac);
  addresses_.destination = options.destination.ipv4();
  addresses_.destination_mac = multicast_mac(addresses_.destination);
  addresses_.source_port = options.source_port.value_or(kRawSourcePort);
  addresses_.destination_port = options.port;
  addresses_.ttl = options.ttl;
  if (!options.destination.is_group()) return open_ip_socket(options);
  if (facts.type != ARPHRD_ETHER && facts.type != ARPHRD_LOOPBACK) {
    return Error{EPROTONOSUPPORT, "raw multicast needs an Ethernet interface; " + facts.name +
                                      " has hardware type " + std::to_string(facts.type)};
  }
  return open_packet_socket(options);
}

Status Transmitter::open_packet_socket(const SendOptions& options) {
  kind_ = Kind::packet;
  // Protocol 0: it receives nothing.
  UniqueFd socket(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return Error::from_errno("open a packet socket");
  if (Status set = set_common_options(socket.get()); !set) return set;
  sockaddr_ll interface {};
  interface.sll_family = AF_PACKET;
  interface.sll_ifindex = options.ifindex;
  if (::bind(socket.get(), reinterpret_cast<const sockaddr*>(&interface), sizeof(interface)) < 0) {
    return Error::from_errno("bind a packet socket to ifindex " + std::to_string(options.ifindex));
  }
  sockets_.push_back(std::move(socket));
  return {};
}

Status Transmitter::open_ip_socket(const SendOptions& options) {
  kind_ = Kind::ip;
  UniqueFd socket(::socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW));
  if (!socket.valid()) return Error::from_errno("open a raw IP socket");
  if (Status set = set_ip_options(socket.get(), options); !set) return set;
  const Endpoint remote = ip_endpoint(options.destination, 0, options.ifindex);
  if (::connect(socket.get(), remote.get(), remote.length) < 0) {
    return Error::from_errno("connect a raw IP socket to " + text(options.destination));
  }
  sockets_.push_back(std::move(socket));
  return {};
}

}  // namespace mcfleet::probe
