#pragma once

#include <functional>
#include <memory>
#include <span>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "forwarder/host_policy.h"
#include "forwarder/neighbour.h"

namespace mcfleet {

// Tells from a thread of its own what becomes of neighbours, of routes, and of the host's policy.
// What is lost in between is made up for: the listener reads everything again.
class NeighbourWatch final {
 public:
  struct Listener {
    // Some neighbours changed.
    std::function<void(std::span<const Neighbour>)> neighbours;
    // Routes or the policy changed, or news of neighbours were lost.
    std::function<void(const HostPolicies&)> routes;
    // Every two seconds.
    std::function<void()> tick;
  };

  static Result<std::unique_ptr<NeighbourWatch>> start(Listener listener);
  NeighbourWatch(const NeighbourWatch&) = delete;
  NeighbourWatch& operator=(const NeighbourWatch&) = delete;
  // Waits for a call under way.
  ~NeighbourWatch();

 private:
  NeighbourWatch(UniqueFd route, UniqueFd stop, Listener listener);
  void run();
  // Reads what has come. False if something else than neighbours changed.
  bool read(std::vector<Neighbour>& neighbours);

  UniqueFd route_;
  UniqueFd stop_;
  Listener listener_;
  std::thread thread_;
};

}  // namespace mcfleet
