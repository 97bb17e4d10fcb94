#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <sys/mman.h>

#include <array>
#include <atomic>
#include <utility>

#include "base/unique_fd.h"
#include "probe/frame.h"
#include "probe/packet_source.h"
#include "probe/socket_options.h"

namespace mcfleet::probe {

// The parts of the kernel's layouts that are read here.
static_assert(offsetof(tpacket_block_desc, hdr) == 8);
static_assert(offsetof(tpacket_hdr_v1, offset_to_first_pkt) == 8);
static_assert(sizeof(tpacket3_hdr) == 48 && offsetof(tpacket3_hdr, tp_snaplen) == 12 &&
              offsetof(tpacket3_hdr, tp_status) == 20 && offsetof(tpacket3_hdr, tp_net) == 26);

namespace {

// TPACKET_V3: packets of any size are packed into blocks, so that 64 MiB hold 0.3 s at 150,000
// packets per second of 1316 bytes. Packets wait for their block at most this long; latency is not
// touched, it is taken from the kernel's time stamps. As a block is used up by its first packet and
// the timeout, many small ones are needed: these bridge 2.5 s at any low rate. The longest frame
// fits one.
constexpr unsigned kBlockBytes = 128 << 10;
constexpr unsigned kBlocks = 512;
constexpr unsigned kFrameBytes = 2048;  // of no meaning for V3, but checked
constexpr unsigned kBlockTimeoutMs = 5;

constexpr sock_filter statement(std::uint16_t code, std::uint32_t k) {
  return {code, 0, 0, k};
}

// Classic BPF on the packet as a cooked socket sees it, from the IP header on: untagged IPv4, UDP,
// no fragment, this address and port.
Status attach_filter(int socket, const ReceiveOptions& options) {
  constexpr std::uint32_t kAncillary = static_cast<std::uint32_t>(SKF_AD_OFF);
  struct Check final {
    std::uint16_t load;
    std::uint32_t at;
    std::uint16_t compare;
    std::uint32_t with;
    bool wanted;
  };
  const std::array checks{
      Check{BPF_LD | BPF_H | BPF_ABS, kAncillary + SKF_AD_PROTOCOL, BPF_JEQ, ETH_P_IP, true},
      Check{BPF_LD | BPF_B | BPF_ABS, kAncillary + SKF_AD_VLAN_TAG_PRESENT, BPF_JEQ, 0, true},
      Check{BPF_LD | BPF_B | BPF_ABS, 9, BPF_JEQ, IPPROTO_UDP, true},
      Check{BPF_LD | BPF_W | BPF_ABS, 16, BPF_JEQ, options.group.ipv4(), true},
      Check{BPF_LD | BPF_H | BPF_ABS, 6, BPF_JSET, 0x3fff, false},
      Check{BPF_LD | BPF_H | BPF_IND, 2, BPF_JEQ, options.port, true},
  };
  std::array<sock_filter, 2 * checks.size() + 3> program{};
  std::size_t length = 0;
  for (const Check& check : checks) {
    // X = length of the IP header, for the last check.
    if ((check.load & BPF_IND) != 0) program[length++] = statement(BPF_LDX | BPF_B | BPF_MSH, 0);
    program[length++] = statement(check.load, check.at);
    // To the last instruction (refuse) if it fails.
    const auto refuse = static_cast<std::uint8_t>(program.size() - 1 - (length + 1));
    program[length++] = {static_cast<std::uint16_t>(BPF_JMP | BPF_K | check.compare),
                         check.wanted ? std::uint8_t{0} : refuse,
                         check.wanted ? refuse : std::uint8_t{0}, check.with};
  }
  program[length++] = statement(BPF_RET | BPF_K, 0x40000);
  program[length++] = statement(BPF_RET | BPF_K, 0);
  const sock_fprog filter{static_cast<std::uint16_t>(length), program.data()};
  return set_option(socket, SOL_SOCKET, SO_ATTACH_FILTER, filter, "SO_ATTACH_FILTER");
}

class RingSource final : public PacketSource {
 public:
  RingSource(UniqueFd socket, UniqueFd membership, std::uint8_t* ring)
      : socket_(std::move(socket)), membership_(std::move(membership)), ring_(ring) {}
  ~RingSource() override { ::munmap(ring_, std::size_t{kBlocks} * kBlockBytes); }
  RingSource(const RingSource&) = delete;
  RingSource& operator=(const RingSource&) = delete;

  int descriptor() const override { return socket_.get(); }

  // One block.
  Result<bool> receive(Account& account) override {
    auto* const block =
        reinterpret_cast<tpacket_block_desc*>(ring_ + std::size_t{next_} * kBlockBytes);
    tpacket_hdr_v1& header = block->hdr.bh1;
    // Written last by the kernel: what follows is read after it.
    const std::atomic_ref<std::uint32_t> status(header.block_status);
    if ((status.load(std::memory_order_acquire) & TP_STATUS_USER) == 0) {
      return clear_error();
    }
    const auto* bytes = reinterpret_cast<const std::uint8_t*>(block) + header.offset_to_first_pkt;
    for (std::uint32_t left = header.num_pkts; left > 0; --left) {
      const auto* const packet = reinterpret_cast<const tpacket3_hdr*>(bytes);
      take(account, *packet);
      bytes += packet->tp_next_offset;
    }
    status.store(TP_STATUS_KERNEL, std::memory_order_release);
    next_ = (next_ + 1) % kBlocks;
    return true;
  }

  Result<std::uint64_t> drops() override {
    tpacket_stats_v3 statistics{};
    socklen_t length = sizeof(statistics);
    // Reading sets the kernel's counters to zero.
    if (::getsockopt(socket_.get(), SOL_PACKET, PACKET_STATISTICS, &statistics, &length) < 0) {
      return Error::from_errno("read PACKET_STATISTICS");
    }
    drops_ += statistics.tp_drops;
    return drops_;
  }

 private:
  static void take(Account& account, const tpacket3_hdr& packet) {
    const auto* const bytes = reinterpret_cast<const std::uint8_t*>(&packet);
    const auto datagram = read_datagram({bytes + packet.tp_net, packet.tp_snaplen},
                                        (packet.tp_status & TP_STATUS_CSUMNOTREADY) != 0);
    if (!datagram) {
      account.corrupt.add();
      return;
    }
    account.take(datagram->payload,
                 {.at = std::uint64_t{packet.tp_sec} * 1'000'000'000 + packet.tp_nsec,
                  .source = datagram->source,
                  .source_port = datagram->source_port,
                  .ttl = datagram->ttl,
                  .checksums_right = datagram->checksums_right});
  }

  // An interface that goes down leaves an error that would keep `poll` from waiting. It may come
  // back.
  Result<bool> clear_error() {
    int error = 0;
    socklen_t length = sizeof(error);
    if (::getsockopt(socket_.get(), SOL_SOCKET, SO_ERROR, &error, &length) < 0) {
      return Error::from_errno("read SO_ERROR");
    }
    if (error != 0 && error != ENETDOWN) return Error{error, "receive from a packet ring"};
    return false;
  }

  UniqueFd socket_;
  UniqueFd membership_;
  std::uint8_t* ring_;
  unsigned next_ = 0;
  std::uint64_t drops_ = 0;
};

}  // namespace

Result<std::unique_ptr<PacketSource>> open_ring_source(const ReceiveOptions& options) {
  if (!options.group.is_ipv4()) {
    return Error{EAFNOSUPPORT, "packets are taken at the interface for IPv4 only"};
  }
  auto membership = open_udp_socket(options.group);
  if (!membership) return membership.error();
  if (Status joined = join_group(membership.value().get(), options); !joined) {
    return joined.error();
  }

  // Protocol 0 until filter and ring stand: nothing else gets in.
  UniqueFd socket(::socket(AF_PACKET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!socket.valid()) return Error::from_errno("open a packet socket");
  const int fd = socket.get();
  if (Status set = set_option(fd, SOL_PACKET, PACKET_VERSION, int{TPACKET_V3}, "TPACKET_V3");
      !set) {
    return set.error();
  }
  if (Status set = set_option(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, 1, "PACKET_IGNORE_OUTGOING");
      !set) {
    return set.error();
  }
  if (Status set = attach_filter(fd, options); !set) return set.error();
  tpacket_req3 request{};
  request.tp_block_size = kBlockBytes;
  request.tp_block_nr = kBlocks;
  request.tp_frame_size = kFrameBytes;
  request.tp_frame_nr = kBlocks * (kBlockBytes / kFrameBytes);
  request.tp_retire_blk_tov = kBlockTimeoutMs;
  if (Status set = set_option(fd, SOL_PACKET, PACKET_RX_RING, request, "PACKET_RX_RING"); !set) {
    return set.error();
  }
  void* const ring = ::mmap(nullptr, std::size_t{kBlocks} * kBlockBytes, PROT_READ | PROT_WRITE,
                            MAP_SHARED, fd, 0);
  if (ring == MAP_FAILED) return Error::from_errno("map a packet ring");
  auto source = std::make_unique<RingSource>(std::move(socket), std::move(membership.value()),
                                             static_cast<std::uint8_t*>(ring));
  sockaddr_ll interface {};
  interface.sll_family = AF_PACKET;
  interface.sll_protocol = htons(ETH_P_ALL);
  interface.sll_ifindex = options.ifindex;
  if (::bind(fd, reinterpret_cast<const sockaddr*>(&interface), sizeof(interface)) < 0) {
    return Error::from_errno("bind a packet socket to ifindex " + std::to_string(options.ifindex));
  }
  return std::unique_ptr<PacketSource>(std::move(source));
}

}  // namespace mcfleet::probe
