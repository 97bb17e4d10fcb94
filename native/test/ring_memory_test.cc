// Receive rings have no more memory together than they may: what does not fit is refused with what
// to do, and nothing else is disturbed.
#include "forwarder/ring_memory.h"

#include <arpa/inet.h>
#include <sys/socket.h>

#include <string>
#include <vector>

#include "check.h"
#include "eventually.h"
#include "forwarder/forwarder.h"
#include "own_namespace.h"
#include "ring/rx_ring.h"
#include "veth_links.h"

using namespace mcfleet;

namespace {

constexpr size_t kMebibyte = size_t{1} << 20;

bool says(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

void gives_what_there_is() {
  RingMemory memory(5 * kMebibyte);
  auto first = memory.take(2, kMebibyte, "first");
  // Rounded up to blocks.
  auto second = memory.take(3, kMebibyte - 1, "second");
  CHECK(first.ok() && second.ok());
  const auto third = memory.take(1, 1, "receive on interface index 7");
  CHECK_EQ(third.error().code, ENOMEM);
  CHECK(says(third.error().message(), "receive on interface index 7: receive rings would have"));
  CHECK(says(third.error().message(), "would have 6 MiB together, and may have 5 MiB"));
  first.value() = {};
  CHECK(memory.take(2, kMebibyte, "again").ok());
  // It was given back at once.
  RingMemory::Share moved = std::move(second.value());
  const auto both = memory.take(2, kMebibyte, "both");
  CHECK(both.ok());
  CHECK(!memory.take(1, kMebibyte, "more").ok());
  moved = {};
  CHECK(memory.take(3, kMebibyte, "three").ok());
  CHECK(!memory.take(4, kMebibyte, "four").ok());
}

void refuses_options_that_no_input_could_have() {
  ForwarderOptions options;
  options.workers = 16;
  options.ring_bytes = RingMemory::half_of_host() / 16 + RxRing::kBlockBytes;
  const auto refused = Forwarder::start(options);
  CHECK_EQ(refused.error().code, EINVAL);
  CHECK(says(refused.error().message(), "with 16 packet threads and rings of "));
  CHECK(says(refused.error().message(), "half of this host's memory"));
  CHECK(says(refused.error().message(), "--workers"));
  // As much as there may be is no error.
  options.workers = 2;
  options.ring_bytes = kMebibyte;
  options.ring_memory = 2 * kMebibyte;
  CHECK(Forwarder::start(options).ok());
  options.ring_memory -= 1;
  CHECK(!Forwarder::start(options).ok());
}

RelayProgram relay(const std::string& input) {
  OutputProgram output;
  output.key = "out";
  output.ifindex = index_of("out");
  output.address = "239.9.9.9";
  output.port = 6001;
  RelayProgram program;
  program.uid = input;
  program.input_ifindex = index_of(input);
  program.group = "239.1.1.1";
  program.port = 5001;
  program.outputs = {output};
  return program;
}

void refuses_inputs_that_do_not_fit() {
  ForwarderOptions options;
  options.workers = 2;
  options.ring_bytes = kMebibyte;
  options.ring_memory = 5 * kMebibyte;
  const auto forwarder = Forwarder::start(options);
  CHECK(forwarder.ok());
  const auto inputs = [&] { return forwarder.value()->status().inputs.size(); };
  const auto refusals = forwarder.value()->apply({true, {relay("a"), relay("b"), relay("c")}, {}});
  CHECK_EQ(refusals.size(), 1U);
  CHECK(refusals[0].reason == "RingAllocFailed");
  CHECK(says(refusals[0].message, "would have 6 MiB together, and may have 5 MiB"));
  CHECK(says(refusals[0].message, "fewer input interfaces"));
  CHECK_EQ(inputs(), 2U);
  // What another one gives back is to be had.
  const std::string other = refusals[0].uid == "a" ? "b" : "a";
  CHECK(forwarder.value()->apply({false, {}, {other}}).empty());
  CHECK_EQ(inputs(), 1U);
  CHECK(forwarder.value()->apply({false, {relay(refusals[0].uid)}, {}}).empty());
  CHECK_EQ(inputs(), 2U);
  CHECK_EQ(forwarder.value()->apply({false, {relay(other)}, {}}).size(), 1U);
  // So is that of an interface that is deleted, and comes again.
  ip_batch("link delete " + refusals[0].uid + "\n");
  CHECK(eventually([&] { return forwarder.value()->apply({false, {relay(other)}, {}}).empty(); }));
}

void send_long_datagram() {
  const UniqueFd fd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  ip_mreqn interface {};
  interface.imr_ifindex = kLoopback;
  CHECK(setsockopt(fd.get(), IPPROTO_IP, IP_MULTICAST_IF, &interface, sizeof(interface)) == 0);
  sockaddr_in group{};
  group.sin_family = AF_INET;
  group.sin_port = htons(5001);
  CHECK(inet_pton(AF_INET, "239.1.1.1", &group.sin_addr) == 1);
  const std::vector<char> payload(20'000);
  CHECK(sendto(fd.get(), payload.data(), payload.size(), 0,
               reinterpret_cast<const sockaddr*>(&group), sizeof(group)) >= 0);
}

// Rings for super-frames, which are made when the first one comes.
void does_without_rings_for_super_frames() {
  for (const bool fit : {false, true}) {
    ForwarderOptions options;
    options.ring_bytes = kMebibyte;
    options.ring_memory = kMebibyte + (fit ? kMebibyte / Receiver::kLongShare : 0);
    const auto forwarder = Forwarder::start(options);
    CHECK(forwarder.ok());
    CHECK(forwarder.value()->apply({true, {relay("lo")}, {}}).empty());
    send_long_datagram();
    CHECK(eventually([&] {
      const InputStatus input = forwarder.value()->status().inputs.at(0);
      return fit ? input.long_ring_bytes > 0 : !input.long_ring_error.empty();
    }));
    const InputStatus input = forwarder.value()->status().inputs.at(0);
    CHECK_EQ(input.long_ring_bytes, fit ? kMebibyte / Receiver::kLongShare : 0);
    if (fit) continue;
    CHECK(says(input.long_ring_error, "receive super-frames in rings of their own"));
    CHECK(says(input.long_ring_error, "would have 2 MiB together, and may have 1 MiB"));
    // They are taken all the same.
    CHECK(eventually(
        [&] { return forwarder.value()->snapshot(nullptr).relays.at(0).rx_packets == 1; }));
  }
}

}  // namespace

int main() {
  gives_what_there_is();
  if (!enter_own_namespace()) return kSkipped;
  refuses_options_that_no_input_could_have();
  add_links({"a", "b", "c", "out"});
  does_without_rings_for_super_frames();
  refuses_inputs_that_do_not_fit();
}
