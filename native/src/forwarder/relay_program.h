#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "forwarder/rate_limiter.h"

namespace mcfleet {

// What the binding hands over; native/forwarder.ts documents the fields.

// The index of an interface that is not there.
inline constexpr int kNoInterface = 0;

struct OutputProgram {
  std::string key;
  int ifindex = kNoInterface;
  std::string address;
  std::optional<uint16_t> port;
  std::optional<uint8_t> ttl;
  std::optional<std::string> source;
  std::optional<uint8_t> dscp;
  std::optional<uint16_t> source_port;
  bool drop_oversize = false;

  bool operator==(const OutputProgram&) const = default;
};

struct RelayProgram {
  std::string uid;
  int input_ifindex = kNoInterface;
  std::string group;
  std::optional<uint16_t> port;
  std::vector<std::string> sources;
  std::vector<OutputProgram> outputs;
  std::vector<std::string> excluded_sources;
  RateLimit rate_limit;
  std::optional<uint16_t> vlan;
  bool keep_duplicates = false;
  std::optional<uint8_t> min_ttl;

  bool operator==(const RelayProgram&) const = default;
};

struct RelayChange {
  bool replace_all = false;
  std::vector<RelayProgram> upserts;
  std::vector<std::string> removed_uids;
};

struct RelayRefusal {
  std::string uid;
  // errno value, and a stable CamelCase code.
  int code = 0;
  std::string reason;
  std::string message;
};

}  // namespace mcfleet
