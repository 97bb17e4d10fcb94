#include "ring/fanout.h"

#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/socket.h>

namespace mcfleet {
namespace {

// Since Linux 6.2; older headers and kernels have no name for it.
constexpr int kIgnoreOutgoing = 0x4000;
// Spreads neighbouring addresses best: 2^32 divided by the golden ratio.
constexpr uint32_t kGolden = 0x9e3779b1;
constexpr uint32_t kIpv4Destination = 16;
// The last word of the address, in which groups differ.
constexpr uint32_t kIpv6Destination = 36;

sock_filter statement(int code, uint32_t k) {
  return BPF_STMT(static_cast<uint16_t>(code), k);
}
sock_filter jump(int code, uint32_t k, uint8_t jt, uint8_t jf) {
  return BPF_JUMP(static_cast<uint16_t>(code), k, jt, jf);
}
uint32_t ancillary(int offset) {
  return static_cast<uint32_t>(SKF_AD_OFF + offset);
}
uint32_t network(uint32_t offset) {
  return static_cast<uint32_t>(SKF_NET_OFF) + offset;
}

bool set_fanout(int fd, int arguments) {
  return setsockopt(fd, SOL_PACKET, PACKET_FANOUT, &arguments, sizeof(arguments)) == 0;
}

}  // namespace

Status Fanout::join(int fd) {
  if (arguments_ != 0) {
    if (set_fanout(fd, arguments_)) return {};
    return Error::from_errno("join a group of packet sockets");
  }
  // Packets that this host sends are then not even looked at. Where the kernel does not know that,
  // the filter of each socket drops them (PACKET_IGNORE_OUTGOING has no effect in a group).
  constexpr int kNew = PACKET_FANOUT_CBPF | PACKET_FANOUT_FLAG_UNIQUEID;
  if (!set_fanout(fd, (kNew | kIgnoreOutgoing) << 16) && !set_fanout(fd, kNew << 16)) {
    return Error::from_errno("make a group of packet sockets");
  }
  int made = 0;
  socklen_t size = sizeof(made);
  if (getsockopt(fd, SOL_PACKET, PACKET_FANOUT, &made, &size) != 0) {
    return Error::from_errno("read the number of a group of packet sockets");
  }
  arguments_ = made;
  return {};
}

Status Fanout::steer(int fd, const std::vector<sock_filter>& program) {
  // The kernel copies the code; the interface is just not const.
  const sock_fprog code{static_cast<uint16_t>(program.size()),
                        const_cast<sock_filter*>(program.data())};
  if (setsockopt(fd, SOL_PACKET, PACKET_FANOUT_DATA, &code, sizeof(code)) == 0) return {};
  return Error::from_errno("setsockopt PACKET_FANOUT_DATA");
}

std::vector<sock_filter> compile_steering(size_t workers, size_t longest) {
  std::vector<sock_filter> code;
  const auto count = static_cast<uint32_t>(workers);
  if (workers == 1 && longest != 0) {
    code.push_back(statement(BPF_LD | BPF_W | BPF_LEN, 0));
    code.push_back(jump(BPF_JMP | BPF_JGT | BPF_K, static_cast<uint32_t>(longest), 0, 1));
    code.push_back(statement(BPF_RET | BPF_K, 1));
    code.push_back(statement(BPF_RET | BPF_K, 0));
    return code;
  }
  // The worker into X. What is no IP goes to the first; so does, by the kernel's own verdict on a
  // read behind the end, what is too short.
  code.push_back(statement(BPF_LD | BPF_H | BPF_ABS, ancillary(SKF_AD_PROTOCOL)));
  code.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IP, 0, 2));
  code.push_back(statement(BPF_LD | BPF_W | BPF_ABS, network(kIpv4Destination)));
  code.push_back(jump(BPF_JMP | BPF_JA, 3, 0, 0));
  code.push_back(jump(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 1, 0));
  code.push_back(statement(BPF_RET | BPF_K, 0));
  code.push_back(statement(BPF_LD | BPF_W | BPF_ABS, network(kIpv6Destination)));
  code.push_back(statement(BPF_ALU | BPF_MUL | BPF_K, kGolden));
  code.push_back(statement(BPF_ALU | BPF_RSH | BPF_K, 16));
  code.push_back(statement(BPF_ALU | BPF_MOD | BPF_K, count));
  if (longest == 0) {
    code.push_back(statement(BPF_RET | BPF_A, 0));
    return code;
  }
  code.push_back(statement(BPF_MISC | BPF_TAX, 0));
  // Of a received frame, the program sees what is behind the link-layer header.
  code.push_back(statement(BPF_LD | BPF_W | BPF_LEN, 0));
  code.push_back(jump(BPF_JMP | BPF_JGT | BPF_K, static_cast<uint32_t>(longest), 0, 3));
  code.push_back(statement(BPF_MISC | BPF_TXA, 0));
  code.push_back(statement(BPF_ALU | BPF_ADD | BPF_K, count));
  code.push_back(statement(BPF_RET | BPF_A, 0));
  code.push_back(statement(BPF_MISC | BPF_TXA, 0));
  code.push_back(statement(BPF_RET | BPF_A, 0));
  return code;
}

}  // namespace mcfleet
