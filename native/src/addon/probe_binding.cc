#include <arpa/inet.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "addon/bindings.h"
#include "addon/job.h"
#include "probe/receiver.h"
#include "probe/sender.h"
#include "probe/socket_options.h"

namespace mcfleet {

namespace {

using probe::ReceiveOptions;
using probe::Receiver;
using probe::Sender;
using probe::SendOptions;
using probe::Transmitter;

// Reading options: probe.ts has checked types and ranges.
std::uint32_t number(const Napi::Object& object, const char* name) {
  return object.Get(name).As<Napi::Number>().Uint32Value();
}

bool flag(const Napi::Object& object, const char* name) {
  return object.Get(name).As<Napi::Boolean>().Value();
}

std::optional<std::uint64_t> wide(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (value.IsNull()) return std::nullopt;
  bool lossless = false;
  return value.As<Napi::BigInt>().Uint64Value(&lossless);
}

std::optional<IpAddress> address(const Napi::Object& object, const char* name) {
  const Napi::Value value = object.Get(name);
  if (value.IsNull()) return std::nullopt;
  const std::string written = value.As<Napi::String>();
  in_addr ipv4{};
  if (::inet_pton(AF_INET, written.c_str(), &ipv4) == 1) return IpAddress(ntohl(ipv4.s_addr));
  in6_addr ipv6{};
  if (::inet_pton(AF_INET6, written.c_str(), &ipv6) == 1) return IpAddress::ipv6(ipv6.s6_addr);
  throw to_js_error(object.Env(), {EINVAL, std::string(name) + " " + written});
}

void set(Napi::Object& object, const char* name, std::uint64_t value) {
  object.Set(name, Napi::BigInt::New(object.Env(), value));
}

Napi::Value nullable(Napi::Env env, const std::optional<std::string>& text) {
  return text ? Napi::String::New(env, *text) : env.Null();
}

// The object that stands for a running job: its promise, a look at its counters, and the wish that
// it end.
template <typename Worker>
Napi::Object handle(Napi::Env env, const std::shared_ptr<Worker>& worker, Napi::Promise done,
                    Napi::Object (*progress)(Napi::Env, const Worker&)) {
  auto object = Napi::Object::New(env);
  object.Set("done", done);
  object.Set("progress", Napi::Function::New(
                             env,
                             [worker, progress](const Napi::CallbackInfo& info) {
                               return progress(info.Env(), *worker);
                             },
                             "progress"));
  object.Set("stop", Napi::Function::New(
                         env, [worker](const Napi::CallbackInfo&) { worker->stop(); }, "stop"));
  return object;
}

Napi::Object send_progress(Napi::Env env, const Sender& sender) {
  auto object = Napi::Object::New(env);
  set(object, "sent", sender.sent.get());
  set(object, "bytes", sender.bytes.get());
  set(object, "retries", sender.retries.get());
  return object;
}

const char* mode_name(Transmitter::Kind kind) {
  switch (kind) {
    case Transmitter::Kind::packet:
      return "packet";
    case Transmitter::Kind::ip:
      return "ip";
    default:
      return "udp";
  }
}

Napi::Value send_probe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto given = info[0].As<Napi::Object>();
  SendOptions options;
  options.ifindex = static_cast<int>(number(given, "ifindex"));
  options.destination = address(given, "group").value_or(IpAddress{});
  options.port = static_cast<std::uint16_t>(number(given, "port"));
  options.source = address(given, "source");
  if (!given.Get("sourcePort").IsNull()) {
    options.source_port = static_cast<std::uint16_t>(number(given, "sourcePort"));
  }
  options.millipackets_per_second = wide(given, "millipacketsPerSecond").value_or(0);
  options.count = wide(given, "count");
  options.size = number(given, "size");
  options.ttl = static_cast<std::uint8_t>(number(given, "ttl"));
  options.flows = number(given, "flows");
  options.segments = number(given, "segments");
  options.raw = flag(given, "raw");
  options.digest = flag(given, "digest");
  options.fill_once = flag(given, "fillOnce");
  options.run = wide(given, "run").value_or(0);
  auto opened = Sender::open(options);
  if (!opened) throw to_js_error(env, opened.error());
  const std::shared_ptr<Sender> sender = std::move(opened.value());

  const auto work = [sender]() -> Result<Job::Outcome> {
    auto report = sender->run();
    if (!report) return report.error();
    return Job::Outcome([sender, report = std::move(report.value())](Napi::Env on) -> Napi::Value {
      Napi::Object object = send_progress(on, *sender);
      set(object, "durationNs", report.duration_ns);
      object.Set("payloadSha256", nullable(on, report.digest));
      return object;
    });
  };
  const auto done = Job::start(env, "mcfleet probe send", work, [sender] { sender->stop(); });
  Napi::Object object = handle(env, sender, done, send_progress);
  object.Set("mode", mode_name(sender->mode()));
  return object;
}

Napi::Value latency(Napi::Env env, const probe::Histogram& histogram) {
  const auto median = histogram.quantile(0.5);
  const auto high = histogram.quantile(0.99);
  const auto highest = histogram.quantile(0.999);
  if (!median || !high || !highest) return env.Null();
  auto object = Napi::Object::New(env);
  set(object, "p50", *median);
  set(object, "p99", *high);
  set(object, "p999", *highest);
  set(object, "max", histogram.max());
  return object;
}

Napi::Object receive_progress(Napi::Env env, const Receiver& receiver) {
  const probe::Account& account = receiver.account();
  auto object = Napi::Object::New(env);
  set(object, "received", account.received.get());
  set(object, "lost", receiver.lost());
  set(object, "duplicates", account.duplicates.get());
  set(object, "reordered", account.reordered.get());
  set(object, "corrupt", account.corrupt.get());
  set(object, "stale", account.stale.get());
  set(object, "foreign", account.foreign.get());
  set(object, "unaccounted", account.unaccounted.get());
  set(object, "bytes", account.bytes.get());
  set(object, "receiverDrops", receiver.drops.get());
  set(object, "activeNs", receiver.active_nanoseconds.get());
  object.Set("latencyNs", latency(env, account.latency));
  return object;
}

Napi::Object flow_to_js(Napi::Env env, const probe::Flow& flow) {
  auto object = Napi::Object::New(env);
  set(object, "run", flow.run);
  object.Set("flow", flow.flow);
  object.Set("source", probe::text(flow.source));
  object.Set("sourcePort", static_cast<std::uint32_t>(flow.source_port));
  object.Set("ttl", flow.ttl == 0 ? env.Null() : Napi::Number::New(env, flow.ttl));
  set(object, "received", flow.received);
  set(object, "lost", flow.lost());
  set(object, "duplicates", flow.duplicates);
  set(object, "reordered", flow.reordered);
  set(object, "stale", flow.stale);
  set(object, "bytes", flow.bytes);
  set(object, "firstSequence", flow.first_sequence);
  set(object, "lastSequence", flow.last_sequence);
  return object;
}

Napi::Value receive_report(Napi::Env env, const Receiver& receiver) {
  Napi::Object object = receive_progress(env, receiver);
  const auto& flows = receiver.account().flows();
  auto array = Napi::Array::New(env, flows.size());
  std::uint32_t i = 0;
  for (const probe::Flow& flow : flows) array.Set(i++, flow_to_js(env, flow));
  object.Set("flows", array);
  object.Set("payloadSha256", nullable(env, receiver.account().digest()));
  return object;
}

Napi::Value receive_probe(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  const auto given = info[0].As<Napi::Object>();
  ReceiveOptions options;
  options.ifindex = static_cast<int>(number(given, "ifindex"));
  options.group = address(given, "group").value_or(IpAddress{});
  options.port = static_cast<std::uint16_t>(number(given, "port"));
  options.raw = flag(given, "raw");
  options.digest = flag(given, "digest");
  options.whole = flag(given, "whole");
  options.count = wide(given, "count");
  options.duration = wide(given, "durationNs");
  options.timeout = wide(given, "timeoutNs");
  options.idle = wide(given, "idleNs");
  options.settle = wide(given, "settleNs").value_or(0);
  auto opened = Receiver::open(options);
  if (!opened) throw to_js_error(env, opened.error());
  const std::shared_ptr<Receiver> receiver = std::move(opened.value());

  const auto work = [receiver]() -> Result<Job::Outcome> {
    if (const Status ran = receiver->run(); !ran) return ran.error();
    return Job::Outcome([receiver](Napi::Env on) { return receive_report(on, *receiver); });
  };
  const auto done =
      Job::start(env, "mcfleet probe receive", work, [receiver] { receiver->stop(); });
  return handle(env, receiver, done, receive_progress);
}

}  // namespace

void init_probe(Napi::Env env, Napi::Object exports) {
  exports.Set("sendProbe", Napi::Function::New(env, send_probe, "sendProbe"));
  exports.Set("receiveProbe", Napi::Function::New(env, receive_probe, "receiveProbe"));
}

}  // namespace mcfleet
