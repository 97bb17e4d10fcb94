#include "forwarder/worker.h"

#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>

#include "forwarder/threads.h"

namespace mcfleet {
namespace {

using Clock = std::chrono::steady_clock;

// Bursts per input and round, so that a quiescent point is never far away.
constexpr int kBurstsPerRound = 16;
// While frames come densely, between two looks.
constexpr timespec kNap{0, 50'000};
// How much later than asked for the kernel may end a nap.
constexpr unsigned long kTimerSlackNs = 1000;
// Looks between two readings of the clock.
constexpr int kLooks = 16;
// As a real-time audio server asks for: ahead of every ordinary program, behind the kernel's own.
constexpr int kNice = -15;

}  // namespace

Result<std::unique_ptr<Worker>> Worker::start(const Options& options) {
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return Error::from_errno("open an event descriptor");
  std::unique_ptr<Worker> worker(new Worker(std::move(wake), options));
  if (options.cpu.has_value()) {
    if (Status status = run_on_cpu(worker->thread_, *options.cpu); !status.ok()) {
      return Error{status.error().code,
                   "worker " + std::to_string(options.index) + ": " + status.error().context};
    }
  }
  // From here on the thread is known to run, and how.
  worker->await_quiescence(worker->ask_to_quiesce());
  return worker;
}

Worker::Worker(UniqueFd wake, const Options& options)
    : wake_(std::move(wake)), options_(options), pipeline_(options.index, options.workers) {
  publish({});
  const std::string name = "mcf-forward-" + std::to_string(options.index);
  thread_ = start_thread(name.c_str(), [this] { run(); });
}

Worker::~Worker() {
  stopping_.store(true, std::memory_order_release);
  eventfd_write(wake_.get(), 1);
  thread_.join();
}

void Worker::add(Input& input) {
  std::vector<Input*> inputs = published_->inputs;
  inputs.push_back(&input);
  publish(std::move(inputs));
}

void Worker::remove(Input& input) {
  std::vector<Input*> inputs = published_->inputs;
  std::erase(inputs, &input);
  publish(std::move(inputs));
}

void Worker::refresh() {
  publish(published_->inputs);
}

void Worker::publish(std::vector<Input*> inputs) {
  auto next = std::make_unique<Inputs>();
  next->inputs = std::move(inputs);
  for (Input* input : next->inputs) {
    next->rings.push_back(&input->ring);
    if (input->long_ring() != nullptr) next->rings.push_back(input->long_ring());
  }
  for (const RxRing* ring : next->rings) next->waiting.push_back({ring->fd(), POLLIN, 0});
  next->waiting.push_back({wake_.get(), POLLIN, 0});
  inputs_.store(next.get(), std::memory_order_release);
  if (published_ != nullptr) retired_.push_back(std::move(published_));
  published_ = std::move(next);
  eventfd_write(wake_.get(), 1);
}

uint64_t Worker::ask_to_quiesce() {
  const uint64_t asked = requested_.fetch_add(1, std::memory_order_acq_rel) + 1;
  eventfd_write(wake_.get(), 1);
  return asked;
}

void Worker::await_quiescence(uint64_t asked) {
  for (;;) {
    const uint64_t passed = passed_.load(std::memory_order_acquire);
    if (passed >= asked) break;
    passed_.wait(passed, std::memory_order_acquire);
  }
  retired_.clear();
}

void Worker::pass_quiescent_point() {
  const uint64_t requested = requested_.load(std::memory_order_acquire);
  if (requested == passed_.load(std::memory_order_relaxed)) return;
  passed_.store(requested, std::memory_order_release);
  passed_.notify_all();
}

void Worker::run() {
  // Other work on the host may take its time; the ring does not wait. Without CAP_SYS_NICE it is
  // one thread among others.
  preferred_.store(setpriority(PRIO_PROCESS, 0, kNice) == 0, std::memory_order_relaxed);
  prctl(PR_SET_TIMERSLACK, kTimerSlackNs);
  Clock::time_point busy_until{};
  while (!stopping_.load(std::memory_order_acquire)) {
    pass_quiescent_point();
    pipeline_.settle();
    Inputs& all = *inputs_.load(std::memory_order_acquire);
    bool found = false;
    for (int look = 0; look < kLooks && !found; look++) {
      for (Input* input : all.inputs) {
        for (int burst = 0; burst < kBurstsPerRound && pipeline_.drain(*input); burst++)
          found = true;
      }
      if (options_.busy_poll.count() == 0) break;
    }
    if (found) {
      if (options_.busy_poll.count() > 0) busy_until = Clock::now() + options_.busy_poll;
    } else if (options_.busy_poll.count() == 0 || Clock::now() >= busy_until) {
      if (options_.busy_poll.count() == 0 && pipeline_.arrivals().dense()) {
        clock_nanosleep(CLOCK_MONOTONIC, 0, &kNap, nullptr);
      } else {
        sleep(all);
      }
      pipeline_.arrivals().clear();
    }
  }
}

void Worker::sleep(Inputs& all) {
  // Not by epoll: it would stay in the sockets' wait queues also while the worker is awake, and
  // each packet's sender would pay for that.
  const int timeout_ms = pipeline_.unsettled() ? Pipeline::kSettleMs : -1;
  if (poll(all.waiting.data(), all.waiting.size(), timeout_ms) <= 0) return;
  for (size_t i = 0; i < all.rings.size(); i++) {
    // What became of the interface is told by netlink.
    if ((all.waiting[i].revents & POLLERR) != 0) all.rings[i]->clear_error();
  }
  if (all.waiting.back().revents != 0) {
    eventfd_t ignored = 0;
    eventfd_read(wake_.get(), &ignored);
  }
}

}  // namespace mcfleet
