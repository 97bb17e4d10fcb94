#include "forwarder/worker.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <array>

#include "forwarder/threads.h"
#include "packet/bytes.h"
#include "packet/parse.h"

namespace mcfleet {
namespace {

// Frames taken from one ring before what they gave is sent: a full batch for one output.
constexpr int kBurst = 64;
// Bursts per input and round, so that a quiescent point is never far away.
constexpr int kBurstsPerRound = 16;
constexpr int kEvents = 64;
// As a real-time audio server asks for: ahead of every ordinary program, behind the kernel's own.
constexpr int kNice = -15;

}  // namespace

Result<std::unique_ptr<Worker>> Worker::start() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll.valid()) return Error::from_errno("create an epoll set");
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return Error::from_errno("open an event descriptor");
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = nullptr;
  if (epoll_ctl(epoll.get(), EPOLL_CTL_ADD, wake.get(), &event) != 0) {
    return Error::from_errno("watch an event descriptor");
  }
  std::unique_ptr<Worker> worker(new Worker(std::move(epoll), std::move(wake)));
  // From here on the thread is known to run, and how.
  worker->quiesce();
  return worker;
}

Worker::Worker(UniqueFd epoll, UniqueFd wake)
    : epoll_(std::move(epoll)),
      wake_(std::move(wake)),
      copy_(std::make_unique<uint8_t[]>(RxRing::kCopyBytes)) {
  thread_ = start_thread("mcf-forward-0", [this] { run(); });
}

Worker::~Worker() {
  stopping_.store(true, std::memory_order_release);
  eventfd_write(wake_.get(), 1);
  thread_.join();
}

Status Worker::add(Input& input) {
  epoll_event event{};
  event.events = EPOLLIN;
  event.data.ptr = &input;
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, input.ring.fd(), &event) == 0) return {};
  return Error::from_errno("watch a receive ring");
}

void Worker::remove(Input& input) {
  epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, input.ring.fd(), nullptr);
}

void Worker::quiesce() {
  const uint64_t target = requested_.fetch_add(1, std::memory_order_acq_rel) + 1;
  eventfd_write(wake_.get(), 1);
  for (;;) {
    const uint64_t passed = passed_.load(std::memory_order_acquire);
    if (passed >= target) return;
    passed_.wait(passed, std::memory_order_acquire);
  }
}

void Worker::pass_quiescent_point() {
  const uint64_t requested = requested_.load(std::memory_order_acquire);
  if (requested == passed_.load(std::memory_order_relaxed)) return;
  passed_.store(requested, std::memory_order_release);
  passed_.notify_all();
}

void Worker::run() {
  // Other work on the host may take its time; the ring does not wait. Without CAP_SYS_NICE it is
  // one thread among others.
  preferred_.store(setpriority(PRIO_PROCESS, 0, kNice) == 0, std::memory_order_relaxed);
  std::array<epoll_event, kEvents> events;
  while (!stopping_.load(std::memory_order_acquire)) {
    pass_quiescent_point();
    const int ready = epoll_wait(epoll_.get(), events.data(), kEvents, -1);
    for (int i = 0; i < ready; i++) {
      const epoll_event& event = events[static_cast<size_t>(i)];
      auto* input = static_cast<Input*>(event.data.ptr);
      if (input == nullptr) {
        eventfd_t ignored = 0;
        eventfd_read(wake_.get(), &ignored);
        continue;
      }
      // What became of the interface is told by netlink.
      if ((event.events & EPOLLERR) != 0) input->ring.clear_error();
      for (int burst = 0; burst < kBurstsPerRound && drain(*input); burst++) {
      }
    }
  }
}

// Returns whether there may be more.
bool Worker::drain(Input& input) {
  const RuleTable* table = input.table.load(std::memory_order_acquire);
  int taken = 0;
  RxFrame frame;
  while (taken < kBurst && input.ring.peek(frame)) {
    if (frame.copy && !input.ring.read_copy(frame, copy_.get())) {
      input.counters.packets.add(1);
      input.counters.drops.add(DropReason::kCopyLost, 1);
    } else {
      take(input, *table, frame);
    }
    input.ring.release();
    taken++;
  }
  emitter_.flush();
  return taken == kBurst;
}

void Worker::take(Input& input, const RuleTable& table, const RxFrame& frame) {
  Datagram datagram;
  const ParseResult parsed = parse_frame(frame.data, frame.captured, frame.length,
                                         input.link_header, frame.offload, datagram);
  if (frame.vlan == 0 && parsed.status == ParseStatus::kDrop &&
      parsed.reason == DropReason::kFragment) {
    take_fragment(input, table, frame);
    return;
  }
  input.counters.packets.add(datagram.segments);
  if (frame.vlan != 0) {
    input.counters.drops.add(DropReason::kVlan, datagram.segments);
    return;
  }
  if (parsed.status == ParseStatus::kDrop) {
    input.counters.drops.add(parsed.reason, datagram.segments);
    return;
  }
  if (parsed.status == ParseStatus::kNotUdp4) {
    input.counters.unmatched.add(1);
    return;
  }
  const bool whole = frame.captured == frame.length;
  const uint8_t* ip = frame.data + input.link_header;
  const uint32_t mtu = input.mtu.load(std::memory_order_relaxed);
  const size_t relays = table.match(
      datagram.destination, datagram.destination_port, datagram.source, [&](const RuleMatch& rule) {
        rule.counters->packets.add(datagram.segments);
        rule.counters->bytes.add(datagram.wire_bytes());
        rule.counters->last_packet_ns.set(frame.time_ns);
        if (!whole) {
          rule.counters->drops.add(DropReason::kReceiveBufferFull, datagram.segments);
          return;
        }
        for (const OutputAction& action : rule.outputs) emitter_.emit(action, datagram, ip, mtu);
      });
  if (relays == 0) input.counters.unmatched.add(datagram.segments);
}

// A datagram in fragments is counted when it is complete or given up. Only the first fragment has
// ports, so that the kernel's filter passes those of every group.
void Worker::take_fragment(Input& input, const RuleTable& table, const RxFrame& frame) {
  InputCounters& counters = input.counters;
  if (!table.wants(load32(frame.data + input.link_header + 16))) {
    counters.packets.add(1);
    counters.unmatched.add(1);
    return;
  }
  // Offloads are for whole datagrams; and what was captured in part cannot be put together.
  const bool plain =
      (frame.offload.flags & kVnetNeedsChecksum) == 0 && frame.offload.gso_type == kVnetGsoNone;
  if (!plain || frame.captured != frame.length) {
    counters.packets.add(1);
    counters.drops.add(plain ? DropReason::kReceiveBufferFull : DropReason::kMalformedOffload, 1);
    return;
  }
  const Reassembler::Result result = input.reassembler.add(frame.data, frame.time_ns);
  counters.packets.add(result.given_up);
  counters.drops.add(DropReason::kFragment, result.given_up);
  if (result.frame == nullptr) return;
  RxFrame whole = frame;
  whole.data = result.frame;
  whole.captured = result.length;
  whole.length = result.length;
  whole.offload = {};
  take(input, table, whole);
}

}  // namespace mcfleet
