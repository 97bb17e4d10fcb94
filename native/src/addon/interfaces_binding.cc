#include <memory>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include "addon/bindings.h"
#include "addon/errors.h"
#include "netlink/dump.h"
#include "netlink/watch.h"

namespace mcfleet {

namespace {

using netlink::InterfaceFacts;

Napi::Value to_js(Napi::Env env, const InterfaceFacts& facts) {
  auto object = Napi::Object::New(env);
  object.Set("index", facts.index);
  object.Set("name", facts.name);
  object.Set("mac", facts.mac);
  object.Set("mtu", facts.mtu);
  object.Set("flags", facts.flags);
  object.Set("type", static_cast<std::uint32_t>(facts.type));
  object.Set("operState", facts.oper_state);
  object.Set("kind", facts.kind);
  auto addresses = Napi::Array::New(env, facts.addresses.size());
  for (std::uint32_t i = 0; i < facts.addresses.size(); ++i) {
    addresses.Set(i, facts.addresses[i]);
  }
  object.Set("addresses", addresses);
  return object;
}

Napi::Value to_js(Napi::Env env, const std::vector<InterfaceFacts>& interfaces) {
  auto array = Napi::Array::New(env, interfaces.size());
  for (std::uint32_t i = 0; i < interfaces.size(); ++i) array.Set(i, to_js(env, interfaces[i]));
  return array;
}

Napi::Value list_interfaces(const Napi::CallbackInfo& info) {
  const auto interfaces = netlink::dump_interfaces();
  if (!interfaces) throw to_js_error(info.Env(), interfaces.error());
  return to_js(info.Env(), interfaces.value());
}

// The way of a snapshot from the watch's thread to the event loop. Holds the newest only: a busy
// event loop sees the last state, not a queue of old ones. At most one call is under way for it.
struct Mailbox final {
  std::mutex mutex;
  std::optional<std::vector<InterfaceFacts>> interfaces;
  std::optional<Error> error;
  // The rest belongs to the event loop.
  bool closed = false;
  Napi::FunctionReference changed;
  Napi::FunctionReference failed;
};
using SharedMailbox = std::shared_ptr<Mailbox>;

void deliver(Napi::Env env, Napi::Function, SharedMailbox* shared, void*) {
  const SharedMailbox mailbox = *shared;
  if (env == nullptr || mailbox->closed) return;
  std::optional<std::vector<InterfaceFacts>> interfaces;
  std::optional<Error> error;
  {
    const std::lock_guard lock(mailbox->mutex);
    interfaces.swap(mailbox->interfaces);
    error.swap(mailbox->error);
  }
  if (error) mailbox->failed.Call({to_js_error(env, *error).Value()});
  if (interfaces && !mailbox->closed) mailbox->changed.Call({to_js(env, *interfaces)});
}
using Notify = Napi::TypedThreadSafeFunction<SharedMailbox, void, deliver>;

// A running watch, until closed or until the environment ends. Used on the event loop's thread
// only.
class Watch final {
 public:
  Watch(Napi::Env env, Napi::Function changed, Napi::Function failed) : env_(env) {
    mailbox_->changed = Napi::Persistent(changed);
    mailbox_->failed = Napi::Persistent(failed);
    // The mailbox must outlive every call under way: the finalizer, which runs after the last of
    // them, lets go of it.
    auto* context = new SharedMailbox(mailbox_);
    notify_ = Notify::New(
        env, "mcfleet interface watch", 0, 1, context,
        [](Napi::Env, SharedMailbox* kept, SharedMailbox*) { delete kept; }, context);
    notify_.Unref(env);
    auto started = netlink::InterfaceWatch::start({
        .changed =
            [this](std::vector<InterfaceFacts> interfaces) {
              post([&] { mailbox_->interfaces = std::move(interfaces); });
            },
        .failed = [this](const Error& error) { post([&] { mailbox_->error = error; }); },
    });
    if (!started) {
      notify_.Release();
      throw to_js_error(env, started.error());
    }
    watch_ = std::move(started.value());
    // A worker may end without having closed its watch: the thread must be gone before the
    // environment is.
    at_exit_ = env.AddCleanupHook(&end_with_environment, this);
  }
  ~Watch() { close(); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  void close() {
    if (mailbox_->closed) return;
    at_exit_.Remove(env_);
    stop();
  }

 private:
  static void end_with_environment(Watch* watch) { watch->stop(); }

  void stop() {
    mailbox_->closed = true;
    watch_.reset();
    notify_.Release();
    mailbox_->changed.Reset();
    mailbox_->failed.Reset();
  }

  // On the watch's thread.
  template <typename Put>
  void post(Put put) {
    bool under_way;
    {
      const std::lock_guard lock(mailbox_->mutex);
      under_way = mailbox_->interfaces || mailbox_->error;
      put();
    }
    // Refused only when the environment is ending, and then nobody waits for it.
    if (!under_way) (void)notify_.NonBlockingCall();
  }

  Napi::Env env_;
  SharedMailbox mailbox_ = std::make_shared<Mailbox>();
  Notify notify_;
  std::unique_ptr<netlink::InterfaceWatch> watch_;
  Napi::Env::CleanupHook<void (*)(Watch*), Watch> at_exit_;
};

Napi::Value watch_interfaces(const Napi::CallbackInfo& info) {
  const Napi::Env env = info.Env();
  auto watch =
      std::make_shared<Watch>(env, info[0].As<Napi::Function>(), info[1].As<Napi::Function>());
  auto object = Napi::Object::New(env);
  object.Set("close", Napi::Function::New(
                          env, [watch](const Napi::CallbackInfo&) { watch->close(); }, "close"));
  return object;
}

}  // namespace

void init_interfaces(Napi::Env env, Napi::Object exports) {
  exports.Set("listInterfaces", Napi::Function::New(env, list_interfaces, "listInterfaces"));
  exports.Set("watchInterfaces", Napi::Function::New(env, watch_interfaces, "watchInterfaces"));
}

}  // namespace mcfleet
