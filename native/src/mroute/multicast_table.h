#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/unique_fd.h"
#include "mroute/cache_entry.h"
#include "mroute/kernel_calls.h"

namespace mcfleet::mroute {

// What passed through one slot.
struct SlotCounters final {
  std::uint64_t packets_in = 0;
  std::uint64_t bytes_in = 0;
  std::uint64_t packets_out = 0;
  std::uint64_t bytes_out = 0;
};

enum class Family : std::uint8_t { ipv4, ipv6 };

// The number of the kernel's own table (RT_TABLE_DEFAULT, RT6_TABLE_DFLT).
[[nodiscard]] constexpr std::uint32_t default_table(Family family) {
  return family == Family::ipv4 ? 253 : 254;
}

// One multicast routing table of the calling thread's network namespace, owned through a socket.
// What is in the table lives until the last process that holds the socket has closed it: hand
// descriptor() to another process to outlive this one. All calls may wait for the kernel's rtnl
// lock. Errors say what to do.
class MulticastTable {
 public:
  // Takes the table; makes it if there is none. `id`: from 1, below 1e9 (IPv4) or 1e8 (IPv6).
  // EADDRINUSE: another socket owns it. ENOPROTOOPT: a kernel without multicast routing, or without
  // several tables. EPERM: no CAP_NET_RAW or CAP_NET_ADMIN.
  [[nodiscard]] static Result<std::unique_ptr<MulticastTable>> open(
      Family family, std::uint32_t id, const KernelCalls& calls = KernelCalls::real());
  // Goes on with the socket that open() made, here or in another process.
  [[nodiscard]] static Result<std::unique_ptr<MulticastTable>> adopt(
      Family family, std::uint32_t id, UniqueFd socket,
      const KernelCalls& calls = KernelCalls::real());

  virtual ~MulticastTable() = default;
  MulticastTable(const MulticastTable&) = delete;
  MulticastTable& operator=(const MulticastTable&) = delete;

  // ENODEV: no such interface. EOPNOTSUPP: one without IFF_MULTICAST. EADDRINUSE: the slot is
  // taken. EOVERFLOW: its index is too great for IPv6.
  [[nodiscard]] virtual Status add_interface(Slot slot, int ifindex) = 0;
  // Entries that name the slot stay, and mean whatever interface has the slot next.
  // EADDRNOTAVAIL: there is none in this slot.
  [[nodiscard]] virtual Status remove_interface(Slot slot) = 0;
  // EADDRNOTAVAIL: there is no interface in this slot; the kernel takes out one that is deleted.
  [[nodiscard]] virtual Result<SlotCounters> counters(Slot slot) const = 0;
  // Adds an entry or replaces one in place: of a source that with the same source and group, of
  // any source that with the same group and input. EOPNOTSUPP: a threshold other than 1 with IPv6.
  [[nodiscard]] virtual Status set(const CacheEntry& entry) = 0;
  // ENOENT: there is no such entry.
  [[nodiscard]] virtual Status remove(const CacheEntry& entry) = 0;

  // Whether the kernel reports packets of a route that arrive on one of its outputs; at most one of
  // a route in three seconds.
  [[nodiscard]] Status report_wrong_interfaces(bool report) const;

  [[nodiscard]] Family family() const { return family_; }
  [[nodiscard]] std::uint32_t id() const { return id_; }
  [[nodiscard]] const KernelCalls& calls() const { return calls_; }
  // "IPv4 multicast routing table 100".
  [[nodiscard]] std::string text() const;
  [[nodiscard]] int descriptor() const { return socket_.get(); }
  // Throws away the kernel's reports on the socket; CacheReports brings them by another way. In a
  // socket that nobody reads they pile up, and then the first packets of new flows are dropped.
  void drain() const;

 protected:
  MulticastTable(Family family, std::uint32_t id, UniqueFd socket, const KernelCalls& calls)
      : calls_(calls), family_(family), id_(id), socket_(std::move(socket)) {}

  // `what`, for errors: "add interface eth0 (index 2)".
  [[nodiscard]] Status set_option(int name, const void* value, socklen_t size,
                                  const std::string& what) const;
  [[nodiscard]] Error no_counters(Slot slot, int code) const;

 private:
  [[nodiscard]] Status take() const;
  [[nodiscard]] Error refusal(int code) const;

  const KernelCalls& calls_;
  Family family_;
  std::uint32_t id_;
  UniqueFd socket_;
};

}  // namespace mcfleet::mroute
