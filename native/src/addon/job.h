#pragma once

#include <napi.h>

#include <functional>
#include <memory>
#include <optional>
#include <thread>
#include <utility>

#include "addon/errors.h"
#include "base/result.h"

namespace mcfleet {

// Work on a thread of its own whose outcome is a promise. Keeps the event loop alive until it is
// done.
class Job final {
 public:
  // Makes the JavaScript value of an outcome, on the event loop.
  using Outcome = std::function<Napi::Value(Napi::Env)>;
  using Work = std::function<Result<Outcome>()>;

  // `work` runs on the new thread. `stop` asks it to end soon; called when the environment ends
  // first, from the event loop's thread.
  static Napi::Promise start(Napi::Env env, const char* name, Work work,
                             std::function<void()> stop) {
    auto* job = new Job(env, std::move(stop));
    const Napi::Promise promise = job->deferred_.Promise();
    // The finalizer runs when nobody can call any more: then the job is freed.
    job->done_ = Done::New(
        env, name, 0, 1, job, [](Napi::Env, Job* ended, Job*) { delete ended; }, job);
    job->at_exit_ = env.AddCleanupHook(&Job::end_with_environment, job);
    job->thread_ = std::thread([job, work = std::move(work)] {
      job->result_.emplace(work());
      // Refused only when the environment is ending, and then nobody waits for it.
      (void)job->done_.NonBlockingCall();
    });
    return promise;
  }

 private:
  static void deliver(Napi::Env env, Napi::Function, Job* job, void*) { job->settle(env); }
  static void end_with_environment(Job* job) {
    job->stop_();
    job->thread_.join();
    job->done_.Release();
  }
  using Done = Napi::TypedThreadSafeFunction<Job, void, &Job::deliver>;

  Job(Napi::Env env, std::function<void()> stop)
      : deferred_(Napi::Promise::Deferred::New(env)), stop_(std::move(stop)) {}

  void settle(Napi::Env env) {
    if (env == nullptr || !thread_.joinable()) return;
    thread_.join();
    at_exit_.Remove(env);
    if (result_->ok()) {
      deferred_.Resolve(result_->value()(env));
    } else {
      deferred_.Reject(to_js_error(env, result_->error()).Value());
    }
    done_.Release();
  }

  Napi::Promise::Deferred deferred_;
  std::function<void()> stop_;
  Done done_;
  Napi::Env::CleanupHook<void (*)(Job*), Job> at_exit_;
  std::thread thread_;
  std::optional<Result<Outcome>> result_;
};

}  // namespace mcfleet
