#include "mroute/cache_reports.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <chrono>

#include "forwarder/threads.h"
#include "mroute/kernel_headers.h"
#include "netlink/dump.h"

namespace mcfleet::mroute {

using netlink::Attribute;
using netlink::Bytes;
using netlink::Message;
using netlink::read_struct;

static_assert(sizeof(rtgenmsg) == 1);
// What both families number alike is called by its IPv4 name.
static_assert(int{IPMRA_CREPORT_MSGTYPE} == int{IP6MRA_CREPORT_MSGTYPE} &&
              int{IPMRA_CREPORT_VIF_ID} == int{IP6MRA_CREPORT_MIF_ID} &&
              int{IPMRA_CREPORT_SRC_ADDR} == int{IP6MRA_CREPORT_SRC_ADDR} &&
              int{IPMRA_CREPORT_DST_ADDR} == int{IP6MRA_CREPORT_DST_ADDR});

namespace {

// linux/rtnetlink.h has no RTMGRP_ for them.
constexpr unsigned kGroups = 1U << (RTNLGRP_IPV4_MROUTE_R - 1) | 1U << (RTNLGRP_IPV6_MROUTE_R - 1);
// A report carries the packet, which may be a jumbo frame.
constexpr std::size_t kBufferBytes = 16384;

int64_t now_ns() {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  return std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
}

IpAddress read_address(Bytes value) {
  if (value.size() >= 16) return IpAddress::ipv6(value.data());
  return ntohl(read_struct<std::uint32_t>(value).value_or(0));
}

}  // namespace

std::optional<CacheReport> parse_cache_report(Bytes payload) {
  const auto header = read_struct<rtgenmsg>(payload);
  if (!header) return std::nullopt;
  CacheReport report;
  if (header->rtgen_family == RTNL_FAMILY_IP6MR) report.family = Family::ipv6;
  unsigned kind = 0;
  const bool whole = netlink::for_each_attribute(
      netlink::after(payload, sizeof(*header)), [&](const Attribute& part) {
        if (part.type == IPMRA_CREPORT_MSGTYPE && !part.value.empty()) {
          kind = part.value[0];
        } else if (part.type == IPMRA_CREPORT_VIF_ID) {
          report.slot = static_cast<Slot>(read_struct<std::uint32_t>(part.value).value_or(0));
        } else if (part.type == IPMRA_CREPORT_SRC_ADDR) {
          report.source = read_address(part.value);
        } else if (part.type == IPMRA_CREPORT_DST_ADDR) {
          report.group = read_address(part.value);
        } else if (part.type == IPMRA_CREPORT_TABLE) {
          report.table = read_struct<std::uint32_t>(part.value);
        }
      });
  if (!whole || (kind != IGMPMSG_NOCACHE && kind != IGMPMSG_WRONGVIF)) return std::nullopt;
  if (kind == IGMPMSG_WRONGVIF) report.kind = CacheReport::Kind::wrong_interface;
  return report;
}

Result<std::unique_ptr<CacheReports>> CacheReports::start(Listener listener) {
  auto reports = netlink::open_route_socket(kGroups);
  if (!reports.ok()) return Error{reports.error().code, "listen to reports of multicast routing"};
  UniqueFd stop(eventfd(0, EFD_CLOEXEC));
  if (!stop.valid()) return Error::from_errno("open an event descriptor");
  return std::unique_ptr<CacheReports>(
      new CacheReports(std::move(reports.value()), std::move(stop), std::move(listener)));
}

CacheReports::CacheReports(UniqueFd reports, UniqueFd stop, Listener listener)
    : reports_(std::move(reports)), stop_(std::move(stop)), listener_(std::move(listener)) {
  thread_ = start_thread("mcf-mroute", [this] { run(); });
}

CacheReports::~CacheReports() {
  // Cannot fail: the counter of an eventfd written once is far from its limit.
  (void)eventfd_write(stop_.get(), 1);
  thread_.join();
}

void CacheReports::run() {
  std::array<pollfd, 2> sources{{{stop_.get(), POLLIN, 0}, {reports_.get(), POLLIN, 0}}};
  do {
    if (poll(sources.data(), sources.size(), -1) < 0 && errno != EINTR) {
      listener_.failed(Error::from_errno("wait for reports of multicast routing"));
      return;
    }
  } while (sources[0].revents == 0 && read());
}

bool CacheReports::read() {
  std::array<std::uint8_t, kBufferBytes> buffer;
  const ssize_t size = recv(reports_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (size >= 0) {
    take(Bytes(buffer.data(), static_cast<std::size_t>(size)));
    return true;
  }
  if (errno == EAGAIN || errno == EINTR) return true;
  if (errno == ENOBUFS) {
    overflows_++;
    return true;
  }
  listener_.failed(Error::from_errno("read reports of multicast routing"));
  return false;
}

void CacheReports::take(Bytes datagram) {
  // One that is cut short has told what there is before its packet.
  (void)netlink::for_each_message(datagram, [&](const Message& message) {
    if (message.header.nlmsg_type != RTM_NEWCACHEREPORT) return;
    const auto report = parse_cache_report(message.payload);
    if (!report) return;
    const int64_t now = now_ns();
    if (!rate_.has_token(now)) {
      dropped_++;
      return;
    }
    rate_.take(1, now);
    listener_.report(*report);
  });
}

}  // namespace mcfleet::mroute
