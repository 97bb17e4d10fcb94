// Tables of the kernel's multicast routing, in a namespace of their own: who has them, how long
// they live, and what is said when they cannot be had.
#include "mroute/multicast_table.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <functional>
#include <string>

#include "check.h"
#include "mroute/kernel_headers.h"
#include "mroute/kernel_state.h"
#include "own_namespace.h"
#include "veth_links.h"

using namespace mcfleet;
using namespace mcfleet::mroute;

namespace {

std::unique_ptr<MulticastTable> open_table(Family family, uint32_t id) {
  auto table = MulticastTable::open(family, id);
  CHECK(table.ok());
  return std::move(table.value());
}

void check_error(const Status& status, int code, const std::string& says) {
  CHECK(!status.ok());
  if (status.error().code != code || status.error().message().find(says) == std::string::npos) {
    std::fprintf(stderr, "%s\n", status.error().message().c_str());
    CHECK_EQ(status.error().code, code);
    CHECK(status.error().message().find(says) != std::string::npos);
  }
}

Status opened(Family family, uint32_t id, const KernelCalls& calls = KernelCalls::real()) {
  auto table = MulticastTable::open(family, id, calls);
  return table.ok() ? Status() : Status(table.error());
}

// The slots that the kernel has in one table, by interface index.
std::map<int, Slot> slots_of(uint32_t table) {
  const auto found = dump_interfaces();
  CHECK(found.ok());
  std::map<int, Slot> slots;
  for (const KernelInterface& interface : found.value()) {
    if (interface.table == table) slots[interface.ifindex] = interface.slot;
  }
  return slots;
}

// Runs `inside` in a child process; it lives until end().
class Child final {
 public:
  explicit Child(const std::function<void()>& inside) {
    std::array<int, 2> ready{};
    CHECK(pipe(ready.data()) == 0);
    pid_ = fork();
    CHECK(pid_ >= 0);
    if (pid_ == 0) {
      inside();
      CHECK(write(ready[1], "x", 1) == 1);
      for (;;) pause();
    }
    close(ready[1]);
    char byte = 0;
    CHECK_EQ(read(ready[0], &byte, 1), 1);
    close(ready[0]);
  }
  void end() {
    CHECK(kill(pid_, SIGKILL) == 0);
    CHECK(waitpid(pid_, nullptr, 0) == pid_);
  }
  [[nodiscard]] int pid() const { return pid_; }

 private:
  pid_t pid_ = 0;
};

void has_slots_of_its_own() {
  const auto first = open_table(Family::ipv4, 100);
  const auto second = open_table(Family::ipv4, 200);
  const auto usual = open_table(Family::ipv4, default_table(Family::ipv4));
  const int a = index_of("a");
  const int b = index_of("b");
  CHECK(first->add_interface(3, a).ok());
  CHECK(second->add_interface(7, a).ok());
  CHECK(second->add_interface(31, b).ok());
  CHECK(usual->add_interface(0, b).ok());
  CHECK((slots_of(100) == std::map<int, Slot>{{a, 3}}));
  CHECK((slots_of(200) == std::map<int, Slot>{{a, 7}, {b, 31}}));
  CHECK((slots_of(default_table(Family::ipv4)) == std::map<int, Slot>{{b, 0}}));
  CHECK(second->remove_interface(7).ok());
  CHECK((slots_of(200) == std::map<int, Slot>{{b, 31}}));
  CHECK(second->counters(31).ok());
  CHECK_EQ(second->counters(7).error().code, EADDRNOTAVAIL);
}

void refuses_interfaces(Family family) {
  const auto table = open_table(family, 100);
  check_error(table->add_interface(0, 0x7ffffff0), ENODEV, "find interface index 2147483632");
  check_error(table->add_interface(0, kLoopback), EOPNOTSUPP,
              "lo (index 1): it has no multicast flag");
  CHECK(table->add_interface(5, index_of("a")).ok());
  check_error(table->add_interface(5, index_of("b")), EADDRINUSE, "add interface b (index");
  check_error(table->remove_interface(6), EADDRNOTAVAIL, "slot 6 in the IPv");
  check_error(table->remove({0xef010101, 0xef010102, 0, {}}), ENOENT, "delete route");
}

void names_the_owner(Family family) {
  Child other([&] { open_table(family, 100).release(); });
  const std::string pid = "(process " + std::to_string(other.pid()) + ")";
  check_error(opened(family, 100), EADDRINUSE, "multicast_table " + pid);
  CHECK(opened(family, 101).ok());
  other.end();
  CHECK(opened(family, 100).ok());
}

void lives_as_long_as_its_descriptor() {
  const int a = index_of("a");
  auto table = open_table(Family::ipv4, 100);
  CHECK(table->add_interface(1, a).ok());
  UniqueFd kept(dup(table->descriptor()));
  table.reset();
  CHECK((slots_of(100) == std::map<int, Slot>{{a, 1}}));
  check_error(opened(Family::ipv4, 100), EADDRINUSE, "IPv4 multicast routing table 100");
  auto adopted = MulticastTable::adopt(Family::ipv4, 100, std::move(kept));
  CHECK(adopted.ok());
  CHECK(adopted.value()->add_interface(2, index_of("b")).ok());
  CHECK_EQ(slots_of(100).size(), 2U);
  adopted.value().reset();
  CHECK(slots_of(100).empty());
  auto wrong = MulticastTable::adopt(Family::ipv6, 100,
                                     UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)));
  CHECK_EQ(wrong.error().code, EPROTOTYPE);
}

// The kernel's errors that this machine does not give.
class OtherKernel final : public KernelCalls {
 public:
  OtherKernel(int option, int error, bool routes = true)
      : option_(option), error_(error), routes_(routes) {}
  int set_option(int fd, int level, int name, const void* value, socklen_t size) const override {
    if (name != option_) return KernelCalls::set_option(fd, level, name, value, size);
    errno = error_;
    return -1;
  }
  int get_option(int fd, int level, int name, void* value, socklen_t* size) const override {
    if (routes_ || name != MRT_VERSION)
      return KernelCalls::get_option(fd, level, name, value, size);
    errno = ENOPROTOOPT;
    return -1;
  }

 private:
  int option_;
  int error_;
  bool routes_;
};

void says_what_the_kernel_lacks() {
  const OtherKernel one_table(MRT_TABLE, ENOPROTOOPT);
  check_error(opened(Family::ipv4, 100, one_table), ENOPROTOOPT,
              "without CONFIG_IP_MROUTE_MULTIPLE_TABLES; use table 253");
  check_error(opened(Family::ipv6, 100, one_table), ENOPROTOOPT,
              "without CONFIG_IPV6_MROUTE_MULTIPLE_TABLES; use table 254");
  for (const Family family : {Family::ipv4, Family::ipv6})
    CHECK(opened(family, default_table(family), one_table).ok());
  const OtherKernel none(MRT_INIT, ENOPROTOOPT, false);
  check_error(opened(Family::ipv4, default_table(Family::ipv4), none), ENOPROTOOPT,
              "without CONFIG_IP_MROUTE; use the userspace engine");
  check_error(opened(Family::ipv4, 100, OtherKernel(MRT_TABLE, EPERM)), EPERM, "CAP_NET_ADMIN");
  check_error(opened(Family::ipv4, 0), EINVAL, "from 1, below 1000000000");
  check_error(opened(Family::ipv4, 1000000000), EINVAL, "below 1000000000");
  check_error(opened(Family::ipv6, 100000000), EINVAL, "below 100000000");
}

void says_which_capability_is_missing() {
  Child other([] {
    CHECK(setuid(65534) == 0);
    check_error(opened(Family::ipv4, 100), EPERM, "CAP_NET_RAW");
  });
  other.end();
}

}  // namespace

int main() {
  if (!enter_own_namespace()) return kSkipped;
  add_links({"a", "b"});
  has_slots_of_its_own();
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    refuses_interfaces(family);
    names_the_owner(family);
  }
  lives_as_long_as_its_descriptor();
  says_what_the_kernel_lacks();
  says_which_capability_is_missing();
}
