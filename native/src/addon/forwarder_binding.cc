#include <memory>

#include "addon/bindings.h"
#include "addon/errors.h"
#include "addon/forwarder_dto.h"
#include "forwarder/forwarder.h"

namespace mcfleet {
namespace {

// Forwarder::apply off the event loop.
class ApplyWorker final : public Napi::AsyncWorker {
 public:
  ApplyWorker(Napi::Env env, std::shared_ptr<Forwarder> forwarder, RelayChange change)
      : Napi::AsyncWorker(env, "mcfleet.apply"),
        deferred_(Napi::Promise::Deferred::New(env)),
        forwarder_(std::move(forwarder)),
        change_(std::move(change)) {}

  [[nodiscard]] Napi::Promise promise() const { return deferred_.Promise(); }
  void Execute() override {
    refusals_ = forwarder_->apply(change_);
    forwarder_.reset();
  }
  void OnOK() override { deferred_.Resolve(write_refusals(Env(), refusals_)); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  std::shared_ptr<Forwarder> forwarder_;
  RelayChange change_;
  std::vector<RelayRefusal> refusals_;
};

// Forwarder::losses off the event loop.
class LossesWorker final : public Napi::AsyncWorker {
 public:
  LossesWorker(Napi::Env env, std::shared_ptr<Forwarder> forwarder)
      : Napi::AsyncWorker(env, "mcfleet.losses"),
        deferred_(Napi::Promise::Deferred::New(env)),
        forwarder_(std::move(forwarder)) {}

  [[nodiscard]] Napi::Promise promise() const { return deferred_.Promise(); }
  void Execute() override {
    losses_ = forwarder_->losses();
    forwarder_.reset();
  }
  void OnOK() override { deferred_.Resolve(write_losses(Env(), losses_)); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  std::shared_ptr<Forwarder> forwarder_;
  std::vector<InterfaceLoss> losses_;
};

// Gives up the last reference off the event loop: freeing rings waits for the kernel.
class CloseWorker final : public Napi::AsyncWorker {
 public:
  CloseWorker(Napi::Env env, std::shared_ptr<Forwarder> forwarder)
      : Napi::AsyncWorker(env, "mcfleet.close"),
        deferred_(Napi::Promise::Deferred::New(env)),
        forwarder_(std::move(forwarder)) {}

  [[nodiscard]] Napi::Promise promise() const { return deferred_.Promise(); }
  void Execute() override { forwarder_.reset(); }
  void OnOK() override { deferred_.Resolve(Env().Undefined()); }
  void OnError(const Napi::Error& error) override { deferred_.Reject(error.Value()); }

 private:
  Napi::Promise::Deferred deferred_;
  std::shared_ptr<Forwarder> forwarder_;
};

class ForwarderHandle final : public Napi::ObjectWrap<ForwarderHandle> {
 public:
  static Napi::Function define(Napi::Env env) {
    return DefineClass(env, "Forwarder",
                       {InstanceMethod<&ForwarderHandle::apply>("apply"),
                        InstanceMethod<&ForwarderHandle::snapshot>("snapshot"),
                        InstanceMethod<&ForwarderHandle::changes>("changes"),
                        InstanceMethod<&ForwarderHandle::status>("status"),
                        InstanceMethod<&ForwarderHandle::losses>("losses"),
                        InstanceMethod<&ForwarderHandle::close>("close")});
  }

  explicit ForwarderHandle(const Napi::CallbackInfo& info)
      : Napi::ObjectWrap<ForwarderHandle>(info) {
    auto started = Forwarder::start(read_forwarder_options(info[0].As<Napi::Object>()));
    if (!started.ok()) throw to_js_error(info.Env(), started.error());
    forwarder_ = std::move(started.value());
    // Threads must not outlive the environment whose addon they run in, even if nobody called
    // close().
    napi_add_env_cleanup_hook(info.Env(), &ForwarderHandle::leave_environment, this);
  }
  ~ForwarderHandle() override {
    napi_remove_env_cleanup_hook(Env(), &ForwarderHandle::leave_environment, this);
  }

 private:
  Napi::Value apply(const Napi::CallbackInfo& info) {
    auto* worker =
        new ApplyWorker(info.Env(), open(info), read_relay_change(info[0].As<Napi::Object>()));
    worker->Queue();
    return worker->promise();
  }

  Napi::Value snapshot(const Napi::CallbackInfo& info) {
    const auto forwarder = open(info);
    if (info[0].IsNull()) return write_snapshot(info.Env(), forwarder->snapshot(nullptr));
    const std::vector<std::string> uids = read_uids(info[0]);
    return write_snapshot(info.Env(), forwarder->snapshot(&uids));
  }

  Napi::Value changes(const Napi::CallbackInfo& info) {
    return write_uids(info.Env(), open(info)->changes());
  }

  Napi::Value status(const Napi::CallbackInfo& info) {
    return write_status(info.Env(), open(info)->status());
  }

  Napi::Value losses(const Napi::CallbackInfo& info) {
    auto* worker = new LossesWorker(info.Env(), open(info));
    worker->Queue();
    return worker->promise();
  }

  Napi::Value close(const Napi::CallbackInfo& info) {
    auto* worker = new CloseWorker(info.Env(), std::move(forwarder_));
    worker->Queue();
    return worker->promise();
  }

  static void leave_environment(void* handle) {
    static_cast<ForwarderHandle*>(handle)->forwarder_.reset();
  }

  std::shared_ptr<Forwarder> open(const Napi::CallbackInfo& info) {
    if (forwarder_ == nullptr) throw Napi::Error::New(info.Env(), "the forwarder is closed");
    return forwarder_;
  }

  std::shared_ptr<Forwarder> forwarder_;
};

}  // namespace

void init_forwarder(Napi::Env env, Napi::Object exports) {
  exports.Set("Forwarder", ForwarderHandle::define(env));
}

}  // namespace mcfleet
