#include "forwarder/compile_relay.h"

#include <arpa/inet.h>

#include <algorithm>
#include <optional>

namespace mcfleet {
namespace {

struct Refused {
  int code;
  const char* reason;
  std::string message;
};

// Reads an address of an IPv4 relay.
std::variant<uint32_t, Refused> read_address(const std::string& text, const char* what) {
  in_addr v4{};
  if (inet_pton(AF_INET, text.c_str(), &v4) == 1) {
    const uint32_t address = ntohl(v4.s_addr);
    if (address == 0 || address == 0xffffffff) {
      return Refused{EINVAL, "InvalidAddress",
                     std::string(what) + " " + text + " is neither a group nor a unicast address"};
    }
    return address;
  }
  in6_addr v6{};
  if (inet_pton(AF_INET6, text.c_str(), &v6) == 1) {
    return Refused{EAFNOSUPPORT, "IPv6NotSupported",
                   std::string(what) + " " + text + ": IPv6 is not forwarded by this version"};
  }
  return Refused{EINVAL, "InvalidAddress",
                 std::string(what) + " '" + text + "' is not an IP address"};
}

std::variant<uint32_t, Refused> read_unicast(const std::string& text, const char* what) {
  auto read = read_address(text, what);
  if (const auto* address = std::get_if<uint32_t>(&read);
      address != nullptr && is_group(*address)) {
    return Refused{EINVAL, "InvalidAddress", std::string(what) + " " + text + " is a group"};
  }
  return read;
}

// Sorted, each once.
std::optional<Refused> read_sources(const std::vector<std::string>& texts, const char* what,
                                    std::vector<uint32_t>& sources) {
  for (const std::string& text : texts) {
    const auto source = read_unicast(text, what);
    if (const auto* refused = std::get_if<Refused>(&source)) return *refused;
    sources.push_back(std::get<uint32_t>(source));
  }
  std::sort(sources.begin(), sources.end());
  sources.erase(std::unique(sources.begin(), sources.end()), sources.end());
  return std::nullopt;
}

std::optional<Refused> compile_output(const OutputProgram& program, CompiledOutput& output) {
  output.key = program.key;
  output.ifindex = program.ifindex;
  const auto address = read_address(program.address, "output address");
  if (const auto* refused = std::get_if<Refused>(&address)) return *refused;
  output.rewrite.destination = std::get<uint32_t>(address);
  output.kind =
      is_group(output.rewrite.destination) ? EgressPort::Kind::kFrames : EgressPort::Kind::kPackets;
  output.rewrite.port = program.port.value_or(0);
  output.rewrite.ttl = program.ttl.value_or(0);
  output.rewrite.source_port = program.source_port.value_or(0);
  output.rewrite.dscp = program.dscp.value_or(kKeepDscp);
  output.drop_oversize = program.drop_oversize;
  if (program.source.has_value()) {
    const auto source = read_unicast(*program.source, "output source");
    if (const auto* refused = std::get_if<Refused>(&source)) return *refused;
    output.rewrite.source = std::get<uint32_t>(source);
  }
  return std::nullopt;
}

std::optional<Refused> compile(const RelayProgram& program, CompiledRelay& relay) {
  relay.input_ifindex = program.input_ifindex;
  relay.port = program.port.value_or(0);
  relay.vlan = program.vlan.value_or(0);
  const auto group = read_address(program.group, "input address");
  if (const auto* refused = std::get_if<Refused>(&group)) return *refused;
  relay.group = std::get<uint32_t>(group);
  if (auto refused = read_sources(program.sources, "input source", relay.sources)) return refused;
  if (auto refused =
          read_sources(program.excluded_sources, "excluded source", relay.excluded_sources)) {
    return refused;
  }
  if (!relay.sources.empty() && !relay.excluded_sources.empty()) {
    return Refused{EINVAL, "InvalidSources", "sources are taken and excluded at the same time"};
  }
  for (const OutputProgram& output : program.outputs) {
    relay.outputs.emplace_back();
    if (auto refused = compile_output(output, relay.outputs.back())) return refused;
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

bool is_group(uint32_t address) {
  return address >> 28 == 0xe;
}

std::vector<Membership> CompiledRelay::memberships() const {
  if (input_ifindex == kNoInterface || !is_group(group)) return {};
  if (sources.empty()) return {{input_ifindex, group, 0}};
  std::vector<Membership> result;
  for (const uint32_t source : sources) result.push_back({input_ifindex, group, source});
  return result;
}

std::optional<Endpoint> CompiledRelay::endpoint() const {
  if (input_ifindex == kNoInterface || is_group(group) || port == 0) return std::nullopt;
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
