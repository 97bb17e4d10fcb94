#include <linux/sock_diag.h>
#include <linux/udp.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <vector>

#include "base/unique_fd.h"
#include "probe/clock.h"
#include "probe/packet_source.h"
#include "probe/socket_options.h"

namespace mcfleet::probe {

namespace {

// A third of a second at 150,000 packets per second. The kernel counts more than a packet's size
// against it.
constexpr int kBufferBytes = 128 << 20;
constexpr std::size_t kBatch = 64;
constexpr std::size_t kSlotBytes = 65536;
constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(timespec)) + CMSG_SPACE(sizeof(int));

// What the kernel says of a message.
struct Told final {
  std::uint64_t at = 0;      // CLOCK_REALTIME when it took the packet; 0: it did not say
  std::size_t datagram = 0;  // bytes of each datagram in it, the last may be shorter; 0: it is one
};

Told told(msghdr& message) {
  Told told;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_TIMESTAMPNS) {
      timespec time;
      std::memcpy(&time, CMSG_DATA(header), sizeof(time));
      told.at = nanoseconds(time);
    } else if (header->cmsg_level == IPPROTO_UDP && header->cmsg_type == UDP_GRO) {
      int bytes = 0;
      std::memcpy(&bytes, CMSG_DATA(header), sizeof(bytes));
      told.datagram = static_cast<std::size_t>(bytes);
    }
  }
  return told;
}

class UdpSource final : public PacketSource {
 public:
  explicit UdpSource(UniqueFd socket) : socket_(std::move(socket)), data_(kBatch * kSlotBytes) {
    for (std::size_t i = 0; i < kBatch; ++i) {
      vectors_[i] = {data_.data() + i * kSlotBytes, kSlotBytes};
      messages_[i].msg_hdr.msg_iov = &vectors_[i];
      messages_[i].msg_hdr.msg_iovlen = 1;
      messages_[i].msg_hdr.msg_name = &senders_[i];
      messages_[i].msg_hdr.msg_control = control_[i].bytes;
    }
  }

  int descriptor() const override { return socket_.get(); }

  Result<bool> receive(Account& account) override {
    for (auto& message : messages_) {
      message.msg_hdr.msg_namelen = sizeof(sockaddr_storage);
      message.msg_hdr.msg_controllen = kControlBytes;
    }
    const int count = ::recvmmsg(socket_.get(), messages_.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (count < 0) {
      if (errno == EAGAIN || errno == EINTR) return false;
      return Error::from_errno("receive from a UDP socket");
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      const Told from_kernel = told(messages_[i].msg_hdr);
      const Arrived arrived{.at = from_kernel.at != 0 ? from_kernel.at : realtime_now(),
                            .source = address_of(senders_[i]),
                            .source_port = port_of(senders_[i])};
      std::span<const std::uint8_t> rest{data_.data() + i * kSlotBytes, messages_[i].msg_len};
      const std::size_t datagram = from_kernel.datagram != 0 ? from_kernel.datagram : rest.size();
      do {
        const std::size_t length = std::min(datagram, rest.size());
        account.take(rest.first(length), arrived);
        rest = rest.subspan(length);
      } while (!rest.empty());
    }
    return count > 0;
  }

  Result<std::uint64_t> drops() override {
    std::array<std::uint32_t, SK_MEMINFO_VARS> info{};
    socklen_t length = sizeof(info);
    if (::getsockopt(socket_.get(), SOL_SOCKET, SO_MEMINFO, info.data(), &length) < 0) {
      return Error::from_errno("read SO_MEMINFO");
    }
    // A 32-bit counter of the kernel's: what it has gained since last time, so that a wrap does no
    // harm.
    drops_ += info[SK_MEMINFO_DROPS] - last_;
    last_ = info[SK_MEMINFO_DROPS];
    return drops_;
  }

 private:
  struct Control final {
    alignas(cmsghdr) char bytes[kControlBytes];
  };

  UniqueFd socket_;
  std::vector<std::uint8_t> data_;
  std::array<iovec, kBatch> vectors_{};
  std::array<mmsghdr, kBatch> messages_{};
  std::array<sockaddr_storage, kBatch> senders_{};
  std::array<Control, kBatch> control_{};
  std::uint64_t drops_ = 0;
  std::uint32_t last_ = 0;
};

}  // namespace

Status join_group(int socket, const ReceiveOptions& options) {
  if (!options.group.is_group()) return {};
  group_req request{};
  request.gr_interface = static_cast<std::uint32_t>(options.ifindex);
  request.gr_group = ip_endpoint(options.group, 0, options.ifindex).storage;
  const int level = options.group.is_ipv4() ? int{IPPROTO_IP} : int{IPPROTO_IPV6};
  return set_option(socket, level, MCAST_JOIN_GROUP, request,
                    ("MCAST_JOIN_GROUP for " + text(options.group)).c_str());
}

Result<std::unique_ptr<PacketSource>> open_udp_source(const ReceiveOptions& options) {
  auto socket = open_udp_socket(options.group);
  if (!socket) return socket.error();
  const int fd = socket.value().get();
  // Several receivers may share a group; two at one unicast address would take each other's
  // packets.
  if (options.group.is_group()) {
    if (Status set = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"); !set) {
      return set.error();
    }
    const Status set =
        options.group.is_ipv4()
            ? set_option(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0, "IP_MULTICAST_ALL")
            : set_option(fd, IPPROTO_IPV6, IPV6_MULTICAST_ALL, 0, "IPV6_MULTICAST_ALL");
    if (!set) return set.error();
  }
  if (Status set =
          set_option(fd, SOL_SOCKET, SO_BINDTOIFINDEX, options.ifindex, "SO_BINDTOIFINDEX");
      !set) {
    return set.error();
  }
  if (Status set = set_option(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS"); !set) {
    return set.error();
  }
  if (options.whole) {
    if (Status set = set_option(fd, IPPROTO_UDP, UDP_GRO, 1, "UDP_GRO"); !set) return set.error();
  }
  // The limit of net.core.rmem_max holds for those who may not pass it.
  if (Status forced = set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, kBufferBytes, "SO_RCVBUFFORCE");
      !forced) {
    if (Status set = set_option(fd, SOL_SOCKET, SO_RCVBUF, kBufferBytes, "SO_RCVBUF"); !set) {
      return set.error();
    }
  }
  const Endpoint local = ip_endpoint(options.group, options.port, options.ifindex);
  if (::bind(fd, local.get(), local.length) < 0) {
    return Error::from_errno("bind a UDP socket to " + text(options.group) + ":" +
                             std::to_string(options.port));
  }
  if (Status joined = join_group(fd, options); !joined) return joined.error();
  return std::unique_ptr<PacketSource>(std::make_unique<UdpSource>(std::move(socket.value())));
}

}  // namespace mcfleet::probe
