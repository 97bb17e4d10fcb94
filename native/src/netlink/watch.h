#pragma once

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "base/result.h"
#include "base/unique_fd.h"
#include "netlink/interface_facts.h"

namespace mcfleet::netlink {

// Reports all interfaces once and again whenever something about them changed. Notifications only
// say *that* something changed; what is true now is dumped anew, so that a lost notification
// (ENOBUFS) costs nothing but a dump.
class InterfaceWatch final {
 public:
  // Both are called on the watch's own thread. After an error the watch goes on and tries again.
  struct Listener final {
    std::function<void(std::vector<InterfaceFacts>)> changed;
    std::function<void(const Error&)> failed;
  };

  [[nodiscard]] static Result<std::unique_ptr<InterfaceWatch>> start(Listener listener);
  // Stops the thread; the listener is not called any more when it returns.
  ~InterfaceWatch();
  InterfaceWatch(const InterfaceWatch&) = delete;
  InterfaceWatch& operator=(const InterfaceWatch&) = delete;

 private:
  InterfaceWatch(UniqueFd notifications, UniqueFd stop, Listener listener);
  void run();
  void settle();
  [[nodiscard]] bool wait(int timeout_ms, bool& notified);

  UniqueFd notifications_;
  UniqueFd stop_;
  Listener listener_;
  std::thread thread_;
};

}  // namespace mcfleet::netlink
