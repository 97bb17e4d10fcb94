// Does with the kernel's multicast routing what its arguments say, one after the other, and prints
// a line for each: "ok", or the error.
//
//   multicast-tool init vif 0 eth0 vif 1 eth1 mfc 10.0.0.1 239.1.1.1 0 1:1 hold
//
//   table ID             MRT_TABLE
//   init                 MRT_INIT
//   vif VIF INTERFACE    MRT_ADD_VIF
//   mfc S G VIF OUT      MRT_ADD_MFC; OUT is VIF:TTL,VIF:TTL... or -
//   proxy S G VIF OUT    MRT_ADD_MFC_PROXY
//   rtnetlink FAMILY S G INPUT OUT   RTM_NEWROUTE of type RTN_MULTICAST; INPUT is an interface;
//   FAMILY is ipmr or inet send INTERFACE S G TTL COUNT     UDP packets to port 5001, with any
//   source leave                exits here and leaves a child behind that holds the socket and goes
//   on hold                 until it is ended by a signal
#include <arpa/inet.h>
#include <linux/mroute.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <netinet/ip.h>
#include <netinet/udp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace {

using Args = std::vector<std::string>;

void report(std::string_view what, int error) {
  std::printf("%.*s: %s\n", static_cast<int>(what.size()), what.data(),
              error == 0 ? "ok" : strerrorname_np(error));
  std::fflush(stdout);
}

in_addr address(const std::string& text) {
  in_addr parsed{};
  if (inet_pton(AF_INET, text.c_str(), &parsed) != 1) {
    std::fprintf(stderr, "%s is not an IPv4 address\n", text.c_str());
    std::exit(2);
  }
  return parsed;
}

std::array<unsigned char, MAXVIFS> thresholds(const std::string& text) {
  std::array<unsigned char, MAXVIFS> ttls{};
  for (std::size_t at = 0; text != "-" && at < text.size();) {
    char* end = nullptr;
    const auto vif = std::strtoul(text.c_str() + at, &end, 10);
    ttls.at(vif) = static_cast<unsigned char>(std::strtoul(end + 1, &end, 10));
    at = static_cast<std::size_t>(end - text.c_str()) + 1;
  }
  return ttls;
}

template <typename Value>
int set(int socket, int option, const Value& value) {
  return setsockopt(socket, IPPROTO_IP, option, &value, sizeof(value)) < 0 ? errno : 0;
}

int add_vif(int socket, const std::string& vif, const std::string& interface) {
  vifctl request{};
  request.vifc_vifi = static_cast<vifi_t>(std::stoul(vif));
  request.vifc_flags = VIFF_USE_IFINDEX;
  request.vifc_threshold = 1;
  request.vifc_lcl_ifindex = static_cast<int>(if_nametoindex(interface.c_str()));
  return set(socket, MRT_ADD_VIF, request);
}

int add_mfc(int socket, int option, const Args& args) {
  mfcctl request{};
  request.mfcc_origin = address(args[0]);
  request.mfcc_mcastgrp = address(args[1]);
  request.mfcc_parent = static_cast<vifi_t>(std::stoul(args[2]));
  const auto ttls = thresholds(args[3]);
  std::copy(ttls.begin(), ttls.end(), std::begin(request.mfcc_ttls));
  return set(socket, option, request);
}

// Appends an attribute to a message whose buffer is large enough.
void attribute(nlmsghdr* message, unsigned short type, const void* data, std::size_t size) {
  auto* at =
      reinterpret_cast<rtattr*>(reinterpret_cast<char*>(message) + NLMSG_ALIGN(message->nlmsg_len));
  at->rta_type = type;
  at->rta_len = static_cast<unsigned short>(RTA_LENGTH(size));
  std::memcpy(RTA_DATA(at), data, size);
  message->nlmsg_len =
      static_cast<std::uint32_t>(NLMSG_ALIGN(message->nlmsg_len) + RTA_ALIGN(at->rta_len));
}

int add_by_rtnetlink(const Args& args) {
  alignas(nlmsghdr) std::array<char, 2048> buffer{};
  auto* message = reinterpret_cast<nlmsghdr*>(buffer.data());
  message->nlmsg_len = NLMSG_LENGTH(sizeof(rtmsg));
  message->nlmsg_type = RTM_NEWROUTE;
  message->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
  auto* route = static_cast<rtmsg*>(NLMSG_DATA(message));
  route->rtm_family = args[0] == "ipmr" ? RTNL_FAMILY_IPMR : AF_INET;
  route->rtm_dst_len = 32;
  route->rtm_src_len = args[0] == "ipmr" ? 32 : 0;
  route->rtm_type = RTN_MULTICAST;
  route->rtm_protocol = RTPROT_STATIC;
  const in_addr source = address(args[1]);
  const in_addr group = address(args[2]);
  const std::uint32_t input = if_nametoindex(args[3].c_str());
  const std::uint32_t table = RT_TABLE_DEFAULT;
  attribute(message, RTA_DST, &group, sizeof(group));
  if (args[0] == "ipmr") {
    attribute(message, RTA_SRC, &source, sizeof(source));
    attribute(message, RTA_IIF, &input, sizeof(input));
    attribute(message, RTA_TABLE, &table, sizeof(table));
    // One for each VIF up to the last output, by position.
    std::array<rtnexthop, MAXVIFS> hops{};
    const auto ttls = thresholds(args[4]);
    for (std::size_t i = 0; i < hops.size(); i++) {
      hops[i].rtnh_len = sizeof(rtnexthop);
      hops[i].rtnh_hops = ttls[i];
    }
    std::size_t used = MAXVIFS;
    while (used > 1 && ttls[used - 1] == 0) used--;
    attribute(message, RTA_MULTIPATH, hops.data(), used * sizeof(rtnexthop));
  } else {
    // A route of the unicast tables that is marked as multicast: the interface is where it leads
    // to.
    route->rtm_table = RT_TABLE_MAIN;
    const std::uint32_t output = if_nametoindex(args[4].c_str());
    attribute(message, RTA_OIF, &output, sizeof(output));
  }
  const int netlink = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
  if (netlink < 0 || send(netlink, message, message->nlmsg_len, 0) < 0) return errno;
  if (recv(netlink, buffer.data(), buffer.size(), 0) < 0) return errno;
  close(netlink);
  return -static_cast<nlmsgerr*>(NLMSG_DATA(message))->error;
}

int send_packets(const Args& args) {
  const int raw = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);
  if (raw < 0 || setsockopt(raw, SOL_SOCKET, SO_BINDTODEVICE, args[0].c_str(),
                            static_cast<socklen_t>(args[0].size())) < 0)
    return errno;
  struct {
    iphdr ip;
    udphdr udp;
    std::array<char, 8> payload;
  } packet{};
  packet.ip.version = 4;
  packet.ip.ihl = 5;
  packet.ip.tot_len = htons(sizeof(packet));
  packet.ip.ttl = static_cast<std::uint8_t>(std::stoul(args[3]));
  packet.ip.protocol = IPPROTO_UDP;
  packet.ip.saddr = address(args[1]).s_addr;
  packet.ip.daddr = address(args[2]).s_addr;
  packet.udp.source = htons(5000);
  packet.udp.dest = htons(5001);
  packet.udp.len = htons(sizeof(packet) - sizeof(iphdr));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr = address(args[2]);
  const auto count = std::stoul(args[4]);
  for (std::uint32_t i = 0; i < count; i++) {
    // Equal packets would be taken for a loop of relays.
    std::array<char, sizeof(packet.payload) + 1> payload{};
    std::snprintf(payload.data(), payload.size(), "%02x%06x", i & 0xffU,
                  static_cast<unsigned>(getpid()) & 0xffffffU);
    std::memcpy(packet.payload.data(), payload.data(), sizeof(packet.payload));
    packet.ip.id = htons(static_cast<std::uint16_t>(i + 1));
    if (sendto(raw, &packet, sizeof(packet), 0, reinterpret_cast<const sockaddr*>(&to),
               sizeof(to)) < 0)
      return errno;
  }
  close(raw);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  const Args words(argv + 1, argv + argc);
  const int igmp = socket(AF_INET, SOCK_RAW, IPPROTO_IGMP);
  if (igmp < 0) {
    report("socket", errno);
    return 1;
  }
  std::size_t at = 0;
  const auto take = [&](std::size_t count) {
    if (words.size() - at < count) {
      std::fprintf(stderr, "too few arguments\n");
      std::exit(2);
    }
    Args taken(words.begin() + static_cast<std::ptrdiff_t>(at),
               words.begin() + static_cast<std::ptrdiff_t>(at + count));
    at += count;
    return taken;
  };
  while (at < words.size()) {
    const std::string verb = take(1)[0];
    if (verb == "table") {
      report(verb, set(igmp, MRT_TABLE, static_cast<std::uint32_t>(std::stoul(take(1)[0]))));
    } else if (verb == "init") {
      report(verb, set(igmp, MRT_INIT, 1));
    } else if (verb == "vif") {
      const auto args = take(2);
      report(verb + " " + args[0], add_vif(igmp, args[0], args[1]));
    } else if (verb == "mfc") {
      report(verb, add_mfc(igmp, MRT_ADD_MFC, take(4)));
    } else if (verb == "proxy") {
      report(verb, add_mfc(igmp, MRT_ADD_MFC_PROXY, take(4)));
    } else if (verb == "rtnetlink") {
      report(verb, add_by_rtnetlink(take(5)));
    } else if (verb == "send") {
      report(verb, send_packets(take(5)));
    } else if (verb == "leave") {
      if (fork() != 0) return 0;
      report(verb, 0);
    } else if (verb == "hold") {
      report(verb, 0);
      for (;;) pause();
    } else {
      std::fprintf(stderr, "%s: no such verb\n", verb.c_str());
      return 2;
    }
  }
  return 0;
}
