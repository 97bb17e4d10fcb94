#include "ring/tracked_sender.h"

#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <time.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <cstring>
#include <fstream>
#include <string>

#include "ring/packet_socket.h"

namespace mcfleet {
namespace {

// A report for each packet as it is handed to the device's queue (__dev_queue_xmit), with the
// packet's number and nothing else.
constexpr int kQueueReports = SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_TX_SCHED |
                              SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
// And one as the driver takes it from there (skb_tx_timestamp).
constexpr int kDeviceReports = kQueueReports | SOF_TIMESTAMPING_TX_SOFTWARE;
// For the reports of all that may be held, twice: of stacked devices each makes one. The kernel
// doubles it (sock_setsockopt).
constexpr int kReportBytes = 16 << 20;
// What it charges for one of them, a sk_buff without data, and to spare (832 on Linux 6.18).
constexpr size_t kReportCharge = 896;
// Reports of the queue are made while messages are sent, and read after so many.
constexpr size_t kUnread = 256;
static_assert(2 * (HeldPackets::kCapacity + 2 * kUnread) * kReportCharge <
              2 * size_t{kReportBytes});
// SK_WMEM_MAX, the default of net.ipv4.neigh.*.unres_qlen_bytes.
constexpr int kQueueBytes = 212'992;
// Reports read with one call.
constexpr size_t kReportsAtOnce = 32;
// struct scm_timestamping and the error with an address, with their headers, and to spare.
constexpr size_t kControlBytes = 256;

static_assert(sizeof(sock_extended_err) == 16);

// Bytes that the kernel lets wait for one neighbour of this interface.
int neighbour_queue_bytes(const std::string& interface, int family) {
  std::ifstream file("/proc/sys/net/" + std::string(family == AF_INET ? "ipv4" : "ipv6") +
                     "/neigh/" + interface + "/unres_qlen_bytes");
  int bytes = 0;
  return file >> bytes ? bytes : kQueueBytes;
}

// What a packet of this size is charged for: its buffer is rounded up, with headroom and
// skb_shared_info, and its sk_buff comes on top.
int charged_bytes(uint32_t size) {
  constexpr uint32_t kBeside = 512;
  constexpr uint32_t kHead = 256;
  return static_cast<int>(std::bit_ceil(std::min(size, 65'535U) + kBeside) + kHead);
}

void take_report(msghdr& header, HeldPackets& held) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&header); part != nullptr; part = CMSG_NXTHDR(&header, part)) {
    const bool error = (part->cmsg_level == IPPROTO_IP && part->cmsg_type == IP_RECVERR) ||
                       (part->cmsg_level == IPPROTO_IPV6 && part->cmsg_type == IPV6_RECVERR);
    if (!error || part->cmsg_len < CMSG_LEN(sizeof(sock_extended_err))) continue;
    sock_extended_err report;
    std::memcpy(&report, CMSG_DATA(part), sizeof(report));
    if (report.ee_origin != SO_EE_ORIGIN_TIMESTAMPING) continue;
    if (report.ee_info == SCM_TSTAMP_SCHED) held.queue(report.ee_data);
    if (report.ee_info == SCM_TSTAMP_SND) held.leave(report.ee_data);
  }
}

}  // namespace

Result<TrackedSocket> open_tracked_socket(int ifindex, int family, uint32_t mtu) {
  Result<UniqueFd> opened = open_packet_sender(ifindex, family);
  if (!opened.ok()) return opened.error();
  return track(std::move(opened.value()), ifindex, family, mtu);
}

Result<TrackedSocket> track(UniqueFd socket, int ifindex, int family, uint32_t longest) {
  static std::atomic<uint64_t> serials{0};
  const int fd = socket.get();
  if (Status status = set_option(fd, SOL_SOCKET, SO_TIMESTAMPING, kQueueReports, "SO_TIMESTAMPING");
      !status.ok()) {
    return status.error();
  }
  // Of a packet that the kernel takes apart, for the MTU of a route, none of the fragments is
  // reported (ip_copy_metadata): packets come here no longer than their route takes.
  const Status whole = family == AF_INET ? set_option(fd, IPPROTO_IP, IP_MTU_DISCOVER,
                                                      IP_PMTUDISC_PROBE, "IP_MTU_DISCOVER")
                                         : set_option(fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER,
                                                      IPV6_PMTUDISC_PROBE, "IPV6_MTU_DISCOVER");
  if (!whole.ok()) return whole.error();
  // Beyond net.core.rmem_max where CAP_NET_ADMIN allows.
  const bool has_room =
      setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &kReportBytes, sizeof(kReportBytes)) == 0;
  if (!has_room) {
    if (Status status = set_option(fd, SOL_SOCKET, SO_RCVBUF, kReportBytes, "SO_RCVBUF");
        !status.ok()) {
      return status.error();
    }
  }
  char name[IF_NAMESIZE] = {};
  if (if_indextoname(static_cast<unsigned>(ifindex), name) == nullptr) {
    return Error{ENODEV, "find interface index " + std::to_string(ifindex)};
  }
  // A packet is taken while anything is left of the buffer.
  const int bytes = std::max(neighbour_queue_bytes(name, family) - charged_bytes(longest), 1);
  if (!resize_send_buffer(fd, bytes)) return Error::from_errno("setsockopt SO_SNDBUF");
  return TrackedSocket{std::move(socket), ++serials, bytes, has_room};
}

void TrackedSender::use(const TrackedSocket* socket, bool device_tells) {
  const uint64_t serial = socket != nullptr ? socket->serial : 0;
  if (serial != serial_) {
    held_.account_all();
    held_.begin();
    serial_ = serial;
    fd_ = socket != nullptr ? socket->fd.get() : -1;
    send_buffer_ = socket != nullptr ? socket->send_buffer : 0;
    has_room_ = socket != nullptr && socket->has_room;
    udp_ = socket != nullptr && socket->port != 0;
    leaves_ = HeldPackets::LeavesAt::kQueue;
    wide_ = false;
    uncertain_ = false;
  }
  ask_device(device_tells && has_room_ && !held_.device_is_silent());
}

std::optional<SendFailure> TrackedSender::send(const msghdr& message, const TxAccount& account) {
  const int error = try_send(message);
  if (error == 0) {
    held_.hold(account, leaves_);
    return std::nullopt;
  }
  held_.cut();
  if (error == EAGAIN) {
    return SendFailure{held_.waiting() > 0 ? DropReason::kNoNeighbour : DropReason::kTxFull, true};
  }
  if (was_numbered(error)) {
    held_.skip();
    uncertain_ = true;
  }
  return classify_send_error(error);
}

// It is given after room and route were found to be good (raw_send_hdrinc, rawv6_send_hdrinc,
// udp_sendmsg; of a UDP socket, taken back if there is no room, since Linux 6.9). A raw socket has
// looked at the size by then as well; a UDP socket looks at that of segments later (udp_send_skb),
// and takes an address that it cannot send from for a bad argument.
bool TrackedSender::was_numbered(int error) const {
  switch (error) {
    case EAGAIN:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL:
    case EACCES:
    case ENODEV:
    case ENXIO:
      return false;
    case EMSGSIZE:
      return udp_;
    case EINVAL:
      return !udp_;
    default:
      return true;
  }
}

int TrackedSender::try_send(const msghdr& message) {
  // One by one: sendmmsg tries a message once more that was refused behind others, which would get
  // a second number.
  const auto attempt = [&] {
    for (;;) {
      if (sendmsg(fd_, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return 0;
      if (errno != EINTR) return errno;
    }
  };
  if ((wide_ || uncertain_) && held_.empty()) settle();
  if (++unread_ >= kUnread) settle();
  if (!make_room()) return EAGAIN;
  const int error = attempt();
  if (error != EAGAIN || wide_) return error;
  settle();
  if (held_.waiting() > 0) return EAGAIN;
  // None waits for the neighbour: it is the device that is slow.
  wide_ = true;
  resize_send_buffer(fd_, kSendBufferBytes);
  return attempt();
}

bool TrackedSender::make_room() {
  if (held_.room() > 0) return true;
  settle();
  if (held_.room() > 0) return true;
  held_.account_overtaken();
  return held_.room() > 0;
}

void TrackedSender::settle() {
  if (fd_ < 0) return;
  // First this: what has left was reported before it was no longer charged.
  int charged = 1;
  if (ioctl(fd_, SIOCOUTQ, &charged) != 0) charged = 1;
  read_reports();
  if (charged != 0) {
    held_.account_left();
    return;
  }
  held_.account_all();
  if (wide_) resize_send_buffer(fd_, send_buffer_);
  wide_ = false;
  if (uncertain_) restart_numbers();
  uncertain_ = false;
}

void TrackedSender::read_reports() {
  unread_ = 0;
  std::array<mmsghdr, kReportsAtOnce> messages;
  alignas(cmsghdr) std::array<std::array<uint8_t, kControlBytes>, kReportsAtOnce> control;
  for (;;) {
    messages = {};
    for (size_t i = 0; i < kReportsAtOnce; i++) {
      messages[i].msg_hdr.msg_control = control[i].data();
      messages[i].msg_hdr.msg_controllen = kControlBytes;
    }
    const int count =
        recvmmsg(fd_, messages.data(), kReportsAtOnce, MSG_ERRQUEUE | MSG_DONTWAIT, nullptr);
    for (int i = 0; i < count; i++) take_report(messages[static_cast<size_t>(i)].msg_hdr, held_);
    if (count < static_cast<int>(kReportsAtOnce)) return;
  }
}

void TrackedSender::ask_device(bool ask) {
  const auto leaves = ask ? HeldPackets::LeavesAt::kDevice : HeldPackets::LeavesAt::kQueue;
  if (leaves != leaves_ && request_reports(ask ? kDeviceReports : kQueueReports)) leaves_ = leaves;
}

bool TrackedSender::request_reports(int reports) {
  return setsockopt(fd_, SOL_SOCKET, SO_TIMESTAMPING, &reports, sizeof(reports)) == 0;
}

// The kernel begins at 0 when numbers are asked for anew (sock_set_timestamping).
void TrackedSender::restart_numbers() {
  const bool device = leaves_ == HeldPackets::LeavesAt::kDevice;
  if (request_reports(0) && request_reports(device ? kDeviceReports : kQueueReports)) {
    held_.restart();
  }
}

}  // namespace mcfleet
