#include <linux/sock_diag.h>

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
constexpr std::size_t kControlBytes = CMSG_SPACE(sizeof(timespec));

// CLOCK_REALTIME when the kernel took the packet; 0 if it did not say.
std::uint64_t kernel_time(msghdr& message) {
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_TIMESTAMPNS) {
      timespec time;
      std::memcpy(&time, CMSG_DATA(header), sizeof(time));
      return nanoseconds(time);
    }
  }
  return 0;
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
      message.msg_hdr.msg_namelen = sizeof(sockaddr_in);
      message.msg_hdr.msg_controllen = kControlBytes;
    }
    const int count = ::recvmmsg(socket_.get(), messages_.data(), kBatch, MSG_DONTWAIT, nullptr);
    if (count < 0) {
      if (errno == EAGAIN || errno == EINTR) return false;
      return Error::from_errno("receive from a UDP socket");
    }
    for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
      const std::uint64_t stamp = kernel_time(messages_[i].msg_hdr);
      account.take({data_.data() + i * kSlotBytes, messages_[i].msg_len},
                   {.at = stamp != 0 ? stamp : realtime_now(),
                    .source = ntohl(senders_[i].sin_addr.s_addr),
                    .source_port = ntohs(senders_[i].sin_port)});
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
  std::array<sockaddr_in, kBatch> senders_{};
  std::array<Control, kBatch> control_{};
  std::uint64_t drops_ = 0;
  std::uint32_t last_ = 0;
};

}  // namespace

Status join_group(int socket, const ReceiveOptions& options) {
  if (!is_multicast(options.group)) return {};
  group_req request{};
  request.gr_interface = static_cast<std::uint32_t>(options.ifindex);
  const sockaddr_in group = ip_endpoint(options.group, 0);
  std::memcpy(&request.gr_group, &group, sizeof(group));
  return set_option(socket, IPPROTO_IP, MCAST_JOIN_GROUP, request,
                    ("MCAST_JOIN_GROUP for " + text(options.group)).c_str());
}

Result<std::unique_ptr<PacketSource>> open_udp_source(const ReceiveOptions& options) {
  UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return Error::from_errno("open a UDP socket");
  const int fd = socket.get();
  const bool multicast = is_multicast(options.group);
  // Several receivers may share a group; two at one unicast address would take each other's
  // packets.
  if (multicast) {
    if (Status set = set_option(fd, SOL_SOCKET, SO_REUSEADDR, 1, "SO_REUSEADDR"); !set) {
      return set.error();
    }
    if (Status set = set_option(fd, IPPROTO_IP, IP_MULTICAST_ALL, 0, "IP_MULTICAST_ALL"); !set) {
      return set.error();
    }
  }
  if (Status set =
          set_option(fd, SOL_SOCKET, SO_BINDTOIFINDEX, options.ifindex, "SO_BINDTOIFINDEX");
      !set) {
    return set.error();
  }
  if (Status set = set_option(fd, SOL_SOCKET, SO_TIMESTAMPNS, 1, "SO_TIMESTAMPNS"); !set) {
    return set.error();
  }
  // The limit of net.core.rmem_max holds for those who may not pass it.
  if (Status forced = set_option(fd, SOL_SOCKET, SO_RCVBUFFORCE, kBufferBytes, "SO_RCVBUFFORCE");
      !forced) {
    if (Status set = set_option(fd, SOL_SOCKET, SO_RCVBUF, kBufferBytes, "SO_RCVBUF"); !set) {
      return set.error();
    }
  }
  const sockaddr_in local = ip_endpoint(options.group, options.port);
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&local), sizeof(local)) < 0) {
    return Error::from_errno("bind a UDP socket to " + text(options.group) + ":" +
                             std::to_string(options.port));
  }
  if (Status joined = join_group(fd, options); !joined) return joined.error();
  return std::unique_ptr<PacketSource>(std::make_unique<UdpSource>(std::move(socket)));
}

}  // namespace mcfleet::probe
