#pragma once

#include <poll.h>

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "forwarder/input.h"
#include "forwarder/pipeline.h"

namespace mcfleet {

// A thread that forwards: it takes what has queued up in the rings, in bursts, and sends after
// each burst whatever that gave. When there is nothing, it looks again for `busy_poll`, and then
// sleeps until there is; while frames come densely, it naps instead. It takes no lock and allocates
// nothing.
//
// What the control thread swaps or takes away may be freed when it was quiescent: the worker holds
// no pointer from one round to the next.
class Worker final {
 public:
  struct Options {
    // Number among the workers, from 0, and how many there are.
    size_t index = 0;
    size_t workers = 1;
    // The CPU to run on; none: any.
    std::optional<unsigned> cpu;
    // 0: sleeps at once, and uses no processor time while no packet comes.
    std::chrono::microseconds busy_poll{0};
  };

  // EINVAL: it cannot run on that CPU.
  static Result<std::unique_ptr<Worker>> start(const Options& options);
  Worker(const Worker&) = delete;
  Worker& operator=(const Worker&) = delete;
  // Stops the thread.
  ~Worker();

  // Begins to read an input, which outlives remove() and the quiescence after it. Control thread.
  void add(Input& input);
  void remove(Input& input);
  // Looks again which rings the inputs have. Control thread.
  void refresh();
  // await() returns when the worker uses nothing any more that was taken away before the call of
  // ask(), whose result it is given. Control thread.
  [[nodiscard]] uint64_t ask_to_quiesce();
  void await_quiescence(uint64_t asked);
  // Whether the thread runs ahead of ordinary programs.
  [[nodiscard]] bool preferred() const { return preferred_.load(std::memory_order_relaxed); }
  [[nodiscard]] size_t index() const { return options_.index; }
  [[nodiscard]] std::optional<unsigned> cpu() const { return options_.cpu; }
  // Packets that relays wanted.
  [[nodiscard]] uint64_t matched() const { return pipeline_.matched(); }

 private:
  // What the worker reads, and what it sleeps on: the inputs' rings, and last wake_. Replaced as a
  // whole; only the worker touches it once it is published.
  struct Inputs {
    std::vector<Input*> inputs;
    std::vector<RxRing*> rings;
    std::vector<pollfd> waiting;
  };

  Worker(UniqueFd wake, const Options& options);
  void publish(std::vector<Input*> inputs);
  void run();
  void pass_quiescent_point();
  void sleep(Inputs& all);

  UniqueFd wake_;
  const Options options_;
  std::unique_ptr<Inputs> published_;
  // The worker's view of published_, and what it may still be using.
  std::atomic<Inputs*> inputs_{nullptr};
  std::vector<std::unique_ptr<Inputs>> retired_;
  std::atomic<uint64_t> requested_{0};
  std::atomic<uint64_t> passed_{0};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> preferred_{false};
  Pipeline pipeline_;
  std::thread thread_;
};

}  // namespace mcfleet
