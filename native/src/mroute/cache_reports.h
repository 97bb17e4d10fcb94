#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <thread>

#include "base/result.h"
#include "base/unique_fd.h"
#include "forwarder/rate_limiter.h"
#include "mroute/cache_entry.h"
#include "mroute/multicast_table.h"
#include "netlink/attributes.h"

namespace mcfleet::mroute {

// A packet for which the kernel asks what to do ("upcall").
struct CacheReport final {
  enum class Kind : std::uint8_t { no_route, wrong_interface };

  Family family = Family::ipv4;
  Kind kind = Kind::no_route;
  // None: the kernel does not tell it for IPv6.
  std::optional<std::uint32_t> table;
  // Where the packet arrived.
  Slot slot = 0;
  IpAddress source;
  IpAddress group;
};

// The payload of RTM_NEWCACHEREPORT. None if it is truncated, or of a kind that has to do with PIM.
[[nodiscard]] std::optional<CacheReport> parse_cache_report(netlink::Bytes payload);

// Brings the reports of both families and all tables of the namespace, as long as a table has an
// owner; the owner need not be this process. A flood of unknown packets brings so many a second and
// no more.
class CacheReports final {
 public:
  struct Listener final {
    // On a thread of its own.
    std::function<void(const CacheReport&)> report;
    // On the same, when it cannot go on.
    std::function<void(const Error&)> failed;
  };
  static constexpr std::uint64_t kPerSecond = 1000;

  // EPERM: no CAP_NET_ADMIN.
  [[nodiscard]] static Result<std::unique_ptr<CacheReports>> start(Listener listener);
  // The listener is not called any more when it returns.
  ~CacheReports();
  CacheReports(const CacheReports&) = delete;
  CacheReports& operator=(const CacheReports&) = delete;

  // Those that were too many.
  [[nodiscard]] std::uint64_t dropped() const { return dropped_; }
  // How often the kernel had no room for more: so many times an unknown number is missing.
  [[nodiscard]] std::uint64_t overflows() const { return overflows_; }

 private:
  CacheReports(UniqueFd reports, UniqueFd stop, Listener listener);
  void run();
  // False when it cannot go on.
  bool read();
  void take(netlink::Bytes datagram);

  UniqueFd reports_;
  UniqueFd stop_;
  Listener listener_;
  TokenBucket rate_{kPerSecond, kPerSecond, 1};
  std::atomic<std::uint64_t> dropped_{0};
  std::atomic<std::uint64_t> overflows_{0};
  std::thread thread_;
};

}  // namespace mcfleet::mroute
