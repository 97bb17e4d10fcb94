#include "forwarder/compile_relay.h"

#include <arpa/inet.h>

#include <algorithm>
#include <memory>
#include <optional>

#include "ring/packet_socket.h"

namespace mcfleet {
namespace {

struct Refused {
  int code;
  const char* reason;
  std::string message;
};

std::optional<IpAddress> parse_address(const std::string& text) {
  in_addr v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) return IpAddress(ntohl(v4.s_addr));
  in6_addr v6{};
  if (inet_pton(AF_INET6, text.c_str(), &v6) == 1) return IpAddress::ipv6(v6.s6_addr);
  return std::nullopt;
}

// Addresses of one relay, all of one family.
class AddressReader final {
 public:
  std::variant<IpAddress, Refused> read(const std::string& text, const char* what) {
    const auto address = parse_address(text);
    if (!address.has_value()) {
      return Refused{EINVAL, "InvalidAddress",
                     std::string(what) + " '" + text + "' is not an IP address"};
    }
    const bool ipv6 = text.find(':') != std::string::npos;
    if (address->none() || *address == IpAddress(0xffffffff) || (ipv6 && address->is_ipv4())) {
      return Refused{EINVAL, "InvalidAddress",
                     std::string(what) + " " + text + " is neither a group nor a unicast address"};
    }
    if (ipv6_.value_or(ipv6) != ipv6) {
      return Refused{EAFNOSUPPORT, "AddressFamilyMismatch",
                     std::string(what) + " " + text + " is IPv" + (ipv6 ? "6" : "4") +
                         ", but the input is IPv" + (ipv6 ? "4" : "6") +
                         ": relays do not translate between them"};
    }
    ipv6_ = ipv6;
    return *address;
  }

  std::variant<IpAddress, Refused> read_unicast(const std::string& text, const char* what) {
    auto address = read(text, what);
    if (const auto* value = std::get_if<IpAddress>(&address);
        value != nullptr && value->is_group()) {
      return Refused{EINVAL, "InvalidAddress", std::string(what) + " " + text + " is a group"};
    }
    return address;
  }

  // Sorted, each once.
  std::optional<Refused> read_sources(const std::vector<std::string>& texts, const char* what,
                                      std::vector<IpAddress>& sources) {
    for (const std::string& text : texts) {
      const auto source = read_unicast(text, what);
      if (const auto* refused = std::get_if<Refused>(&source)) return *refused;
      sources.push_back(std::get<IpAddress>(source));
    }
    std::sort(sources.begin(), sources.end());
    sources.erase(std::unique(sources.begin(), sources.end()), sources.end());
    return std::nullopt;
  }

 private:
  // Of the first address.
  std::optional<bool> ipv6_;
};

EgressPort::Kind kind_to(const IpAddress& destination) {
  return destination.is_group() ? EgressPort::Kind::kFrames : EgressPort::Kind::kPackets;
}

// `source` none: the arriving one.
void set_addresses(CompiledOutput& output, const IpAddress& source) {
  if (output.destination.is_ipv4()) {
    output.rewrite.destination = output.destination.ipv4();
    output.rewrite.source = source.ipv4();
    return;
  }
  auto addresses = std::make_shared<Ipv6Addresses>();
  output.destination.write_ipv6(addresses->destination.data());
  source.write_ipv6(addresses->source.data());
  addresses->keep_source = source.none();
  output.rewrite.ipv6 = addresses.get();
  output.ipv6 = std::move(addresses);
}

std::optional<Refused> compile_output(const OutputProgram& program, AddressReader& reader,
                                      CompiledOutput& output) {
  output.key = program.key;
  output.ifindex = program.ifindex;
  const auto address = reader.read(program.address, "output address");
  if (const auto* refused = std::get_if<Refused>(&address)) return *refused;
  output.destination = std::get<IpAddress>(address);
  output.kind = kind_to(output.destination);
  output.rewrite.port = program.port.value_or(0);
  output.rewrite.ttl = program.ttl.value_or(0);
  output.rewrite.source_port = program.source_port.value_or(0);
  output.rewrite.dscp = program.dscp.value_or(kKeepDscp);
  output.drop_oversize = program.drop_oversize;
  IpAddress source;
  if (program.source.has_value()) {
    const auto given = reader.read_unicast(*program.source, "output source");
    if (const auto* refused = std::get_if<Refused>(&given)) return *refused;
    source = std::get<IpAddress>(given);
  }
  set_addresses(output, source);
  return std::nullopt;
}

std::optional<Refused> compile(const RelayProgram& program, CompiledRelay& relay) {
  AddressReader reader;
  relay.input_ifindex = program.input_ifindex;
  relay.port = program.port.value_or(0);
  relay.vlan = program.vlan.value_or(0);
  const auto group = reader.read(program.group, "input address");
  if (const auto* refused = std::get_if<Refused>(&group)) return *refused;
  relay.group = std::get<IpAddress>(group);
  if (!relay.group.is_ipv4() && !kernel_speaks_ipv6()) {
    return Refused{EAFNOSUPPORT, "IPv6NotSupported",
                   "input address " + program.group + ": the kernel of this host has no IPv6"};
  }
  if (auto refused = reader.read_sources(program.sources, "input source", relay.sources)) {
    return refused;
  }
  if (auto refused = reader.read_sources(program.excluded_sources, "excluded source",
                                         relay.excluded_sources)) {
    return refused;
  }
  if (!relay.sources.empty() && !relay.excluded_sources.empty()) {
    return Refused{EINVAL, "InvalidSources", "sources are taken and excluded at the same time"};
  }
  for (const OutputProgram& output : program.outputs) {
    relay.outputs.emplace_back();
    if (auto refused = compile_output(output, reader, relay.outputs.back())) return refused;
  }
  if (relay.outputs.empty()) return Refused{EINVAL, "NoOutput", "the relay has no output"};
  return std::nullopt;
}

const char* reason_of(int code) {
  switch (code) {
    case ENODEV:
    case ENXIO:
      return "InterfaceNotFound";
    case EPERM:
    case EACCES:
      return "MissingCapability";
    case ENETDOWN:
      return "InterfaceDown";
    case ENOMEM:
      return "RingAllocFailed";
    case EADDRNOTAVAIL:
      return "AddressNotAvailable";
    case ENOBUFS:
      return "MembershipLimit";
    case EMFILE:
    case ENFILE:
      return "TooManyDescriptors";
    case EAFNOSUPPORT:
      return "InterfaceTypeNotSupported";
    default:
      return "SystemError";
  }
}

}  // namespace

std::vector<Membership> CompiledRelay::memberships() const {
  if (input_ifindex == kNoInterface || !group.is_group()) return {};
  if (sources.empty()) return {{input_ifindex, group, {}}};
  std::vector<Membership> result;
  for (const IpAddress& source : sources) result.push_back({input_ifindex, group, source});
  return result;
}

bool CompiledRelay::takes_unicast() const {
  return input_ifindex != kNoInterface && !group.is_group();
}

std::optional<Endpoint> CompiledRelay::endpoint() const {
  if (!takes_unicast() || port == 0) return std::nullopt;
  return Endpoint{input_ifindex, group, port};
}

std::variant<CompiledRelay, RelayRefusal> compile_relay(const RelayProgram& program) {
  CompiledRelay relay;
  if (auto refused = compile(program, relay)) {
    return RelayRefusal{program.uid, refused->code, refused->reason, refused->message};
  }
  return relay;
}

RelayRefusal refuse(const std::string& uid, const Error& error) {
  return {uid, error.code, reason_of(error.code), error.message()};
}

}  // namespace mcfleet
