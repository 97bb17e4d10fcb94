#pragma once

#include <map>
#include <string>
#include <string_view>

namespace mcfleet {

// Whether a queue discipline of this kind takes or refuses a super-frame as a whole, and tells the
// sender when it refuses. Of kinds that are not known to, it is not.
bool takes_super_frames_whole(std::string_view kind);

// The interfaces whose queue, or that of a device below, may lose some of a super-frame's datagrams
// and tell that it was sent: datagrams leave one by one there, so that each one's fate is told.
class UnsafeQueues final {
 public:
  // None.
  UnsafeQueues() = default;
  // `kinds`: an unsafe one for each interface that has one; `lower`: each interface that sends
  // through others, with each of those.
  UnsafeQueues(std::map<int, std::string> kinds, const std::multimap<int, int>& lower);
  // Asks the kernel for the queue disciplines of this network namespace.
  static UnsafeQueues read();

  // The kind of queue discipline that is unsafe, of the interface or one below it; empty if there
  // is none.
  [[nodiscard]] std::string_view of(int ifindex) const;

 private:
  std::map<int, std::string> kinds_;
  // The kernel did not tell: all are taken for unsafe.
  bool unknown_ = false;
};

}  // namespace mcfleet
