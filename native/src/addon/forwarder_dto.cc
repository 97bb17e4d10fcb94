#include "addon/forwarder_dto.h"

#include <uv.h>

#include "forwarder/segment_way.h"

namespace mcfleet {
namespace {

template <typename Item, typename Write>
Napi::Array write_array(Napi::Env env, const std::vector<Item>& items, Write write) {
  Napi::Array array = Napi::Array::New(env, items.size());
  for (uint32_t i = 0; i < items.size(); i++) array.Set(i, write(items[i]));
  return array;
}

template <typename Item, typename Read>
std::vector<Item> read_array(const Napi::Value& value, Read read) {
  const auto array = value.As<Napi::Array>();
  std::vector<Item> items;
  items.reserve(array.Length());
  for (uint32_t i = 0; i < array.Length(); i++) {
    // A change may hold thousands of relays: do not keep a handle for each of their values.
    const Napi::HandleScope scope(value.Env());
    items.push_back(read(array.Get(i)));
  }
  return items;
}

std::string read_text(const Napi::Value& value) {
  return value.As<Napi::String>().Utf8Value();
}

template <typename Number>
std::optional<Number> read_optional(const Napi::Value& value) {
  if (value.IsNull()) return std::nullopt;
  return static_cast<Number>(value.As<Napi::Number>().Uint32Value());
}

// 0 for null.
uint64_t read_count(const Napi::Value& value) {
  return value.IsNull() ? 0 : static_cast<uint64_t>(value.As<Napi::Number>().Int64Value());
}

RateLimit read_rate_limit(const Napi::Value& value) {
  if (value.IsNull()) return {};
  const auto object = value.As<Napi::Object>();
  return {read_count(object.Get("packetsPerSecond")), read_count(object.Get("bitsPerSecond")),
          read_count(object.Get("burstPackets"))};
}

OutputProgram read_output(const Napi::Value& value) {
  const auto object = value.As<Napi::Object>();
  OutputProgram output;
  output.key = read_text(object.Get("key"));
  output.ifindex = object.Get("ifindex").As<Napi::Number>().Int32Value();
  output.address = read_text(object.Get("address"));
  output.port = read_optional<uint16_t>(object.Get("port"));
  output.ttl = read_optional<uint8_t>(object.Get("ttl"));
  const Napi::Value source = object.Get("source");
  if (!source.IsNull()) output.source = read_text(source);
  output.dscp = read_optional<uint8_t>(object.Get("dscp"));
  output.source_port = read_optional<uint16_t>(object.Get("sourcePort"));
  output.drop_oversize = object.Get("dropOversize").As<Napi::Boolean>().Value();
  return output;
}

RelayProgram read_relay(const Napi::Value& value) {
  const auto object = value.As<Napi::Object>();
  RelayProgram relay;
  relay.uid = read_text(object.Get("uid"));
  relay.input_ifindex = object.Get("inputIfindex").As<Napi::Number>().Int32Value();
  relay.group = read_text(object.Get("group"));
  relay.port = read_optional<uint16_t>(object.Get("port"));
  relay.vlan = read_optional<uint16_t>(object.Get("vlan"));
  relay.sources = read_array<std::string>(object.Get("sources"), read_text);
  relay.excluded_sources = read_array<std::string>(object.Get("excludedSources"), read_text);
  relay.outputs = read_array<OutputProgram>(object.Get("outputs"), read_output);
  relay.keep_duplicates = object.Get("keepDuplicates").As<Napi::Boolean>().Value();
  relay.min_ttl = read_optional<uint8_t>(object.Get("minTtl"));
  relay.rate_limit = read_rate_limit(object.Get("rateLimit"));
  return relay;
}

Napi::Value write_count(Napi::Env env, uint64_t count) {
  return Napi::BigInt::New(env, count);
}

Napi::Value write_drops(Napi::Env env, const std::vector<DropCount>& drops) {
  return write_array(env, drops, [env](const DropCount& drop) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("reason", drop_reason_name(drop.reason));
    object.Set("packets", write_count(env, drop.packets));
    return object;
  });
}

const char* filter_name(KernelFilter filter) {
  switch (filter) {
    case KernelFilter::kExact:
      return "exact";
    case KernelFilter::kCoarse:
      return "coarse";
    case KernelFilter::kNone:
      return "none";
  }
  return "";
}

void write_state(Napi::Object& object, LinkState state) {
  object.Set("up", state == LinkState::kUp);
  object.Set("downReason", link_state_reason(state));
}

Napi::Object write_output(Napi::Env env, const OutputCounts& output) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("key", output.key);
  object.Set("txPackets", write_count(env, output.tx_packets));
  object.Set("txBytes", write_count(env, output.tx_bytes));
  object.Set("drops", write_drops(env, output.drops));
  write_state(object, output.state);
  object.Set("startUnixNano", write_count(env, output.start_unix_nano));
  object.Set("transmit", output.transmit ? Napi::String::New(env, transmit_code(*output.transmit))
                                         : env.Null());
  return object;
}

Napi::Object write_relay(Napi::Env env, const RelayCounts& relay) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("uid", relay.uid);
  object.Set("rxPackets", write_count(env, relay.rx_packets));
  object.Set("rxBytes", write_count(env, relay.rx_bytes));
  object.Set("outputs", write_array(env, relay.outputs, [env](const OutputCounts& output) {
               return write_output(env, output);
             }));
  object.Set("drops", write_drops(env, relay.drops));
  object.Set("lastPacketUnixNano", write_count(env, relay.last_packet_unix_nano));
  object.Set("latencyBuckets", write_array(env, relay.latency_buckets, [env](uint64_t count) {
               return write_count(env, count);
             }));
  object.Set("latencySumNano", write_count(env, relay.latency_sum_nano));
  object.Set("startUnixNano", write_count(env, relay.start_unix_nano));
  object.Set("warning", relay.warning);
  return object;
}

Napi::Object write_input(Napi::Env env, const InputCounts& input) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("ifindex", input.ifindex);
  object.Set("rxPackets", write_count(env, input.rx_packets));
  object.Set("kernelDrops", write_count(env, input.kernel_drops));
  object.Set("unmatched", write_count(env, input.unmatched));
  object.Set("drops", write_drops(env, input.drops));
  write_state(object, input.state);
  return object;
}

Napi::Value write_shortfall(Napi::Env env, Transmit transmit) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("transmit", transmit_code(transmit));
  object.Set("reason", transmit_reason(transmit));
  return object;
}

Napi::Value write_exclusive(Napi::Env env, const std::optional<ExclusiveStatus>& status) {
  if (!status.has_value()) return env.Null();
  Napi::Object object = Napi::Object::New(env);
  object.Set("active", status->active);
  object.Set("reason", status->reason);
  object.Set("destinations", static_cast<double>(status->destinations));
  object.Set("sharedRelays", static_cast<double>(status->shared_relays));
  object.Set("leftOut", static_cast<double>(status->left_out));
  return object;
}

Napi::Object write_udp_sockets(Napi::Env env, const UdpSocketStatus& status) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("open", static_cast<double>(status.open));
  object.Set("most", static_cast<double>(kMostSegmentSockets));
  object.Set("refused", write_count(env, status.refused));
  object.Set("failed", write_count(env, status.failed));
  object.Set("packetsWithout", write_count(env, status.packets_without));
  return object;
}

}  // namespace

ForwarderOptions read_forwarder_options(const Napi::Object& object) {
  ForwarderOptions options;
  options.ring_bytes = static_cast<size_t>(object.Get("ringBytes").As<Napi::Number>().Int64Value());
  options.transmit = read_transmit_request(read_text(object.Get("transmit"))).value();
  options.busy_poll =
      std::chrono::microseconds(object.Get("busyPollUs").As<Napi::Number>().Uint32Value());
  options.workers = object.Get("workers").As<Napi::Number>().Uint32Value();
  options.cpus = read_array<unsigned>(object.Get("cpus"), [](const Napi::Value& cpu) {
    return cpu.As<Napi::Number>().Uint32Value();
  });
  options.exclusive_input = object.Get("exclusiveInput").As<Napi::Boolean>().Value();
  return options;
}

RelayChange read_relay_change(const Napi::Object& object) {
  RelayChange change;
  change.replace_all = object.Get("replaceAll").As<Napi::Boolean>().Value();
  change.upserts = read_array<RelayProgram>(object.Get("upserts"), read_relay);
  change.removed_uids = read_array<std::string>(object.Get("removedUids"), read_text);
  return change;
}

std::vector<std::string> read_uids(const Napi::Value& value) {
  return read_array<std::string>(value, read_text);
}

Napi::Value write_uids(Napi::Env env, const std::vector<std::string>& uids) {
  return write_array(env, uids,
                     [env](const std::string& uid) { return Napi::String::New(env, uid); });
}

Napi::Value write_refusals(Napi::Env env, const std::vector<RelayRefusal>& refusals) {
  return write_array(env, refusals, [env](const RelayRefusal& refusal) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("uid", refusal.uid);
    object.Set("errno", uv_err_name(-refusal.code));
    object.Set("reason", refusal.reason);
    object.Set("message", refusal.message);
    return object;
  });
}

Napi::Value write_snapshot(Napi::Env env, const Snapshot& snapshot) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("relays", write_array(env, snapshot.relays, [env](const RelayCounts& relay) {
               return write_relay(env, relay);
             }));
  object.Set("inputs", write_array(env, snapshot.inputs, [env](const InputCounts& input) {
               return write_input(env, input);
             }));
  return object;
}

Napi::Value write_losses(Napi::Env env, const std::vector<InterfaceLoss>& losses) {
  return write_array(env, losses, [env](const InterfaceLoss& loss) {
    Napi::Object object = Napi::Object::New(env);
    object.Set("ifindex", loss.ifindex);
    object.Set("queue", write_count(env, loss.queue));
    object.Set("deviceDropped", write_count(env, loss.device_dropped));
    object.Set("deviceErrors", write_count(env, loss.device_errors));
    object.Set("startUnixNano", write_count(env, loss.counted_since));
    return object;
  });
}

Napi::Value write_status(Napi::Env env, const ForwarderStatus& status) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("capabilities", write_array(env, status.capabilities, [env](const std::string& name) {
               return Napi::String::New(env, name);
             }));
  object.Set("inputs", write_array(env, status.inputs, [env](const InputStatus& input) {
               Napi::Object entry = Napi::Object::New(env);
               entry.Set("ifindex", input.ifindex);
               entry.Set("ringBytes", static_cast<double>(input.ring_bytes));
               entry.Set("ringSlots", static_cast<double>(input.ring_slots));
               entry.Set("filter", filter_name(input.filter));
               entry.Set("memberships", static_cast<double>(input.memberships));
               entry.Set("longRingBytes", static_cast<double>(input.long_ring_bytes));
               entry.Set("longRingSlots", static_cast<double>(input.long_ring_slots));
               entry.Set("longRingError", input.long_ring_error);
               entry.Set("exclusive", write_exclusive(env, input.exclusive));
               return entry;
             }));
  object.Set("outputs", write_array(env, status.outputs, [env](const OutputStatus& output) {
               Napi::Object entry = Napi::Object::New(env);
               entry.Set("ifindex", output.ifindex);
               entry.Set("transmit", transmit_name(output.transmit));
               entry.Set("reason", transmit_reason(output.transmit, output.queue));
               entry.Set("outputs", static_cast<double>(output.outputs));
               return entry;
             }));
  object.Set("shortfall", status.shortfall ? write_shortfall(env, *status.shortfall) : env.Null());
  object.Set("workers", write_array(env, status.workers, [env](const WorkerStatus& worker) {
               Napi::Object entry = Napi::Object::New(env);
               entry.Set("index", static_cast<double>(worker.index));
               entry.Set("cpu",
                         worker.cpu.has_value() ? Napi::Number::New(env, *worker.cpu) : env.Null());
               entry.Set("packets", write_count(env, worker.packets));
               entry.Set("udpSockets", write_udp_sockets(env, worker.udp_sockets));
               return entry;
             }));
  return object;
}

}  // namespace mcfleet
