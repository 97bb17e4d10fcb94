#pragma once

#include <memory>
#include <vector>

#include "base/result.h"
#include "forwarder/forwarder_options.h"
#include "forwarder/worker.h"

namespace mcfleet {

// All workers of a packet path. Control thread.
class Workers final {
 public:
  // EINVAL: one cannot run on its CPU.
  static Result<std::unique_ptr<Workers>> start(const ForwarderOptions& options) {
    auto workers = std::make_unique<Workers>();
    for (size_t i = 0; i < options.workers; i++) {
      Worker::Options own{i, options.workers, std::nullopt, options.busy_poll};
      if (i < options.cpus.size()) own.cpu = options.cpus[i];
      Result<std::unique_ptr<Worker>> worker = Worker::start(own);
      if (!worker.ok()) return worker.error();
      workers->all_.push_back(std::move(worker.value()));
    }
    return workers;
  }

  [[nodiscard]] size_t size() const { return all_.size(); }
  [[nodiscard]] Worker& of(size_t index) const { return *all_[index]; }

  // Returns when no worker uses anything any more that was taken away before the call.
  void quiesce() {
    std::vector<uint64_t> asked;
    for (const auto& worker : all_) asked.push_back(worker->ask_to_quiesce());
    for (size_t i = 0; i < all_.size(); i++) all_[i]->await_quiescence(asked[i]);
  }

 private:
  std::vector<std::unique_ptr<Worker>> all_;
};

}  // namespace mcfleet
