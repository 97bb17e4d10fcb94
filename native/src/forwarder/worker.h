#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"
#include "forwarder/emitter.h"
#include "forwarder/input.h"

namespace mcfleet {

// The thread that forwards: it sleeps until a ring has packets, drains it in bursts, and sends
// after each burst whatever that gave. It takes no lock and allocates nothing.
//
// What the control thread swaps or takes away may be freed after quiesce(): the worker holds no
// pointer from one round to the next.
class Worker final {
 public:
  static Result<std::unique_ptr<Worker>> start();
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  // Stops the thread.
  ~Worker();

  // Begins to read an input, which outlives remove() and the quiesce() after it.
  Status add(Input& input);
  void remove(Input& input);
  // Returns when the worker uses nothing any more that was taken away before the call. Control
  // thread.
  void quiesce();
  // Whether the thread runs ahead of ordinary programs.
  [[nodiscard]] bool preferred() const { return preferred_.load(std::memory_order_relaxed); }

 private:
  Worker(UniqueFd epoll, UniqueFd wake);
  void run();
  void pass_quiescent_point();
  bool drain(Input& input);
  void take(Input& input, const RuleTable& table, const RxFrame& frame);
  void take_fragment(Input& input, const RuleTable& table, const RxFrame& frame);

  UniqueFd epoll_;
  UniqueFd wake_;
  std::atomic<uint64_t> requested_{0};
  std::atomic<uint64_t> passed_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> preferred_{false};
  Emitter emitter_;
  std::unique_ptr<uint8_t[]> copy_;
  std::thread thread_;
};

}  // namespace mcfleet
