// The kernel itself runs the program that keeps packets from the host (BPF_PROG_TEST_RUN).
#include "ingress/claim_program.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "check.h"
#include "ingress/bpf.h"
#include "ipv6_packets.h"
#include "own_namespace.h"
#include "packets.h"

using namespace mcfleet;

namespace {

constexpr uint32_t kGroup = 0xef010101;
constexpr uint16_t kPort = 5001;

// The part of union bpf_attr for BPF_PROG_TEST_RUN.
struct TestRun {
  uint32_t prog_fd;
  uint32_t retval;
  uint32_t data_size_in;
  uint32_t data_size_out;
  uint64_t data_in;
  uint64_t data_out;
  uint32_t repeat;
  uint32_t duration;
};

class Program final {
 public:
  Program(const UniqueFd& map, size_t link_header) {
    Result<UniqueFd> loaded = load_packet_program(claim_program(map.get(), link_header), "test");
    CHECK(loaded.ok());
    fd_ = std::move(loaded.value());
  }

  // `frame`: with its Ethernet header.
  [[nodiscard]] bool keeps(const packets::Bytes& frame) const {
    TestRun run{};
    run.prog_fd = static_cast<uint32_t>(fd_.get());
    run.data_in = reinterpret_cast<uint64_t>(frame.data());
    run.data_size_in = static_cast<uint32_t>(frame.size());
    run.repeat = 1;
    CHECK(syscall(SYS_bpf, BPF_PROG_TEST_RUN, &run, sizeof(run)) == 0);
    CHECK(run.retval == 2 || run.retval == 0xffffffff);
    return run.retval == 2;
  }

 private:
  UniqueFd fd_;
};

packets::Bytes frame_of(const packets::Bytes& packet, uint16_t type = 0x0800, uint8_t first = 1) {
  packets::Bytes frame(14 + packet.size());
  frame[0] = first;
  packets::put16(frame.data() + 12, type);
  std::copy(packet.begin(), packet.end(), frame.begin() + 14);
  return frame;
}

void claim(const UniqueFd& map, const Claim& claim) {
  const ClaimKey key = ClaimKey::of(claim);
  const uint8_t present = 1;
  CHECK(put_map_entry(map.get(), &key, &present).ok());
}

packets::Bytes to(uint32_t address, uint16_t port) {
  packets::Spec spec;
  spec.destination = address;
  spec.destination_port = port;
  return packets::ip_packet(spec);
}

packets::Bytes with_byte(packets::Bytes packet, size_t at, uint8_t value) {
  packet[at] = value;
  return packet;
}

void keeps_claimed_destinations(const Program& program) {
  CHECK(program.keeps(frame_of(to(kGroup, kPort))));
  CHECK(!program.keeps(frame_of(to(kGroup, kPort + 1))));
  CHECK(!program.keeps(frame_of(to(kGroup + 1, kPort))));
  CHECK(program.keeps(frame_of(to(kGroup + 2, 1))));
  CHECK(program.keeps(frame_of(to(kGroup + 2, 65535))));
  // An address of this host, by unicast.
  CHECK(program.keeps(frame_of(to(0x0a010002, kPort), 0x0800, 0)));
  CHECK(!program.keeps(frame_of(to(0x0a010002, 53), 0x0800, 0)));
}

void passes_what_is_not_plain_udp(const Program& program) {
  const packets::Bytes plain = to(kGroup, kPort);
  for (const int protocol : {1, 2, 6, 132}) {
    CHECK(!program.keeps(frame_of(with_byte(plain, 9, static_cast<uint8_t>(protocol)))));
  }
  packets::Spec options;
  options.options = {1, 1, 1, 1};
  CHECK(!program.keeps(frame_of(packets::ip_packet(options))));
  for (const int fragment : {0x2000, 0x0001, 0x1fff, 0x2001}) {
    packets::Spec spec;
    spec.flags = static_cast<uint16_t>(fragment);
    CHECK(!program.keeps(frame_of(packets::ip_packet(spec))));
  }
  packets::Spec whole;
  whole.flags = 0x4000;
  CHECK(program.keeps(frame_of(packets::ip_packet(whole))));
  // Cut off before the ports; another version; a tag; to another station.
  CHECK(!program.keeps(frame_of(packets::Bytes(plain.begin(), plain.begin() + 23))));
  CHECK(!program.keeps(frame_of(with_byte(plain, 0, 0x55))));
  CHECK(!program.keeps(frame_of(plain, 0x8100)));
  packets::Spec longer;
  longer.payload = packets::Bytes(50);
  CHECK(program.keeps(frame_of(packets::ip_packet(longer))));
  CHECK(!program.keeps(frame_of(packets::ip_packet(longer), 0x86dd)));
  CHECK(!program.keeps(frame_of(plain, 0x0800, 2)));
}

void knows_ipv6(const Program& program) {
  const packets::Bytes plain = packets::ipv6::ip_packet({});
  CHECK(program.keeps(frame_of(plain, 0x86dd)));
  packets::ipv6::Spec other_port;
  other_port.destination_port = kPort + 1;
  CHECK(!program.keeps(frame_of(packets::ipv6::ip_packet(other_port), 0x86dd)));
  packets::ipv6::Spec other_group;
  other_group.destination[4] = 1;
  CHECK(!program.keeps(frame_of(packets::ipv6::ip_packet(other_group), 0x86dd)));
  for (const uint8_t type :
       {packets::ipv6::kHopByHop, packets::ipv6::kFragment, packets::ipv6::kDestinationOptions}) {
    packets::ipv6::Spec extended;
    extended.extensions = {{type}};
    CHECK(!program.keeps(frame_of(packets::ipv6::ip_packet(extended), 0x86dd)));
  }
  CHECK(!program.keeps(frame_of(with_byte(plain, 6, 58), 0x86dd)));
  CHECK(!program.keeps(frame_of(packets::Bytes(plain.begin(), plain.begin() + 43), 0x86dd)));
  // The same bytes as an IPv4 group are another address.
  packets::ipv6::Spec mapped;
  mapped.destination = {};
  packets::put32(mapped.destination.data() + 12, kGroup);
  CHECK(!program.keeps(frame_of(packets::ipv6::ip_packet(mapped), 0x86dd)));
}

void reads_behind_its_link_header(const UniqueFd& map) {
  // As of a device without one: what would be an Ethernet header is the packet's beginning.
  const Program program(map, 0);
  CHECK(!program.keeps(frame_of(to(kGroup, kPort))));
}

}  // namespace

int main() {
  if (!enter_own_namespace()) return kSkipped;
  Result<UniqueFd> map = create_hash_map(sizeof(ClaimKey), 1, 16);
  if (!map.ok() && (map.error().code == EPERM || map.error().code == ENOSYS)) {
    std::printf("skipped: %s\n", map.error().message().c_str());
    return kSkipped;
  }
  CHECK(map.ok());
  claim(map.value(), {kGroup, kPort});
  claim(map.value(), {kGroup + 2, 0});
  claim(map.value(), {0x0a010002, kPort});
  claim(map.value(), {IpAddress::ipv6(packets::ipv6::Spec().destination.data()), kPort});
  const Program program(map.value(), 14);
  keeps_claimed_destinations(program);
  passes_what_is_not_plain_udp(program);
  knows_ipv6(program);
  reads_behind_its_link_header(map.value());
}
