#pragma once

#include <functional>
#include <memory>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"

namespace mcfleet {

// Calls `changed` from a thread of its own after interfaces or their queue disciplines came, went
// or changed, or somebody asked for attention. It tells only that something is different: the
// listener reads what is so now, and so a lost notification does no harm. After that it calls
// `look`, and again every two seconds or oftener for as long as that returns true.
class LinkWatch final {
 public:
  // `attention`: an event descriptor that outlives this; who writes to it asks for a call.
  static Result<std::unique_ptr<LinkWatch>> start(int attention, std::function<void()> changed,
                                                  std::function<bool()> look);
  LinkWatch(const LinkWatch&) = delete;
  LinkWatch& operator=(const LinkWatch&) = delete;
  // Waits for a call under way.
  ~LinkWatch();

 private:
  LinkWatch(UniqueFd route, int attention, UniqueFd stop, std::function<void()> changed,
            std::function<bool()> look);
  void run();
  // Reads what has come. Whether any of it matters.
  [[nodiscard]] bool read() const;

  UniqueFd route_;
  const int attention_;
  UniqueFd stop_;
  std::function<void()> changed_;
  std::function<bool()> look_;
  std::thread thread_;
};

}  // namespace mcfleet
