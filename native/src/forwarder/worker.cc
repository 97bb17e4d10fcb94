#include "forwarder/worker.h"

#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstring>

#include "forwarder/threads.h"
#include "packet/bytes.h"
#include "packet/parse.h"

namespace mcfleet {
namespace {

using Clock = std::chrono::steady_clock;

// Frames taken from one ring before what they gave is sent: five super-frames of the most common
// size. 64 cost a tenth more, 512 gain nothing (docs/measurements.md).
constexpr size_t kBurst = 256;
// The same of long frames.
constexpr size_t kLongBurst = 8;
// Bursts per input and round, so that a quiescent point is never far away.
constexpr int kBurstsPerRound = 16;
// Packets of a relay from one whose latency is taken to the next.
constexpr uint64_t kSampleEvery = 16;
// Frames between two sleeps, and the nanoseconds from one to the next, from which on traffic is
// dense: then the thread naps before it looks again, rather than be woken by the next frame. A
// wake-up costs the one who sends that frame some 13 us (docs/measurements.md), and what comes
// meanwhile leaves in longer trains. What comes at longer intervals is never kept waiting.
constexpr size_t kDense = 8;
constexpr uint64_t kDenseNs = 5000;
constexpr timespec kNap{0, 50'000};
// How much later than asked for the kernel may end a nap.
constexpr unsigned long kTimerSlackNs = 1000;
// Looks between two readings of the clock.
constexpr int kLooks = 16;
// Between two looks at what became of packets that wait for a neighbour.
constexpr int kSettleMs = 10;
// As a real-time audio server asks for: ahead of every ordinary program, behind the kernel's own.
constexpr int kNice = -15;

void count(RelayCounters& counters, const Datagram& datagram, uint64_t time_ns) {
  counters.packets.add(datagram.segments);
  counters.bytes.add(datagram.wire_bytes());
  counters.last_packet_ns.set(time_ns);
}

// `ip`: the packet that `datagram` was parsed of.
template <typename Visit>
size_t match(const RuleTable& table, const Datagram& datagram, const uint8_t* ip, Visit&& visit) {
  if (datagram.ipv6) {
    return table.match_ipv6(ip, datagram.destination_port, datagram.vlan, visit);
  }
  return table.match(datagram.destination, datagram.destination_port, datagram.source,
                     datagram.vlan, visit);
}

}  // namespace

Result<std::unique_ptr<Worker>> Worker::start(const Options& options) {
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return Error::from_errno("open an event descriptor");
  std::unique_ptr<Worker> worker(new Worker(std::move(wake), options));
  if (options.cpu.has_value()) {
    if (Status status = run_on_cpu(worker->thread_, *options.cpu); !status.ok()) {
      return Error{status.error().code,
                   "worker " + std::to_string(options.index) + ": " + status.error().context};
    }
  }
  // From here on the thread is known to run, and how.
  worker->await_quiescence(worker->ask_to_quiesce());
  return worker;
}

Worker::Worker(UniqueFd wake, const Options& options)
    : wake_(std::move(wake)), options_(options), emitter_(options.index, options.workers) {
  publish({});
  const std::string name = "mcf-forward-" + std::to_string(options.index);
  thread_ = start_thread(name.c_str(), [this] { run(); });
}

Worker::~Worker() {
  stopping_.store(true, std::memory_order_release);
  eventfd_write(wake_.get(), 1);
  thread_.join();
}

void Worker::add(Input& input) {
  std::vector<Input*> inputs = published_->inputs;
  inputs.push_back(&input);
  publish(std::move(inputs));
}

void Worker::remove(Input& input) {
  std::vector<Input*> inputs = published_->inputs;
  std::erase(inputs, &input);
  publish(std::move(inputs));
}

void Worker::refresh() {
  publish(published_->inputs);
}

void Worker::publish(std::vector<Input*> inputs) {
  auto next = std::make_unique<Inputs>();
  next->inputs = std::move(inputs);
  for (Input* input : next->inputs) {
    next->rings.push_back(&input->ring);
    if (input->long_ring() != nullptr) next->rings.push_back(input->long_ring());
  }
  for (const RxRing* ring : next->rings) next->waiting.push_back({ring->fd(), POLLIN, 0});
  next->waiting.push_back({wake_.get(), POLLIN, 0});
  inputs_.store(next.get(), std::memory_order_release);
  if (published_ != nullptr) retired_.push_back(std::move(published_));
  published_ = std::move(next);
  eventfd_write(wake_.get(), 1);
}

uint64_t Worker::ask_to_quiesce() {
  const uint64_t asked = requested_.fetch_add(1, std::memory_order_acq_rel) + 1;
  eventfd_write(wake_.get(), 1);
  return asked;
}

void Worker::await_quiescence(uint64_t asked) {
  for (;;) {
    const uint64_t passed = passed_.load(std::memory_order_acquire);
    if (passed >= asked) break;
    passed_.wait(passed, std::memory_order_acquire);
  }
  retired_.clear();
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
  prctl(PR_SET_TIMERSLACK, kTimerSlackNs);
  Clock::time_point busy_until{};
  while (!stopping_.load(std::memory_order_acquire)) {
    pass_quiescent_point();
    settle();
    Inputs& all = *inputs_.load(std::memory_order_acquire);
    bool found = false;
    for (int look = 0; look < kLooks && !found; look++) {
      for (Input* input : all.inputs) {
        for (int burst = 0; burst < kBurstsPerRound && drain(*input); burst++) found = true;
      }
      if (options_.busy_poll.count() == 0) break;
    }
    if (found) {
      if (options_.busy_poll.count() > 0) busy_until = Clock::now() + options_.busy_poll;
    } else if (options_.busy_poll.count() == 0 || Clock::now() >= busy_until) {
      if (options_.busy_poll.count() == 0 && is_dense()) {
        clock_nanosleep(CLOCK_MONOTONIC, 0, &kNap, nullptr);
      } else {
        sleep(all);
      }
      frames_ = 0;
    }
  }
}

// Also while no packet comes: what became of the last ones must show.
void Worker::settle() {
  if (!emitter_.unsettled()) return;
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
  const int64_t now_ms = int64_t{now.tv_sec} * 1000 + now.tv_nsec / 1'000'000;
  if (now_ms < settled_ms_ + kSettleMs) return;
  settled_ms_ = now_ms;
  emitter_.settle();
}

// Judged by when frames arrived: what piled up while others had the processor need not be dense.
bool Worker::is_dense() const {
  return frames_ >= kDense && last_frame_ns_ - first_frame_ns_ < frames_ * kDenseNs;
}

void Worker::sleep(Inputs& all) {
  // Not by epoll: it would stay in the sockets' wait queues also while the worker is awake, and
  // each packet's sender would pay for that.
  const int timeout_ms = emitter_.unsettled() ? kSettleMs : -1;
  if (poll(all.waiting.data(), all.waiting.size(), timeout_ms) <= 0) return;
  for (size_t i = 0; i < all.rings.size(); i++) {
    // What became of the interface is told by netlink.
    if ((all.waiting[i].revents & POLLERR) != 0) all.rings[i]->clear_error();
  }
  if (all.waiting.back().revents != 0) {
    eventfd_t ignored = 0;
    eventfd_read(wake_.get(), &ignored);
  }
}

// Forwards one burst. Returns whether there was anything.
bool Worker::drain(Input& input) {
  const RuleTable& table = *input.table.load(std::memory_order_acquire);
  size_t taken = 0;
  for (RxFrame frame; taken < kBurst;) {
    const RxRing* ring = input.take(frame);
    if (ring == nullptr) break;
    if (frames_++ == 0) first_frame_ns_ = frame.time_ns;
    last_frame_ns_ = frame.time_ns;
    taken += frame.captured > RxRing::kSlotBytes ? kBurst / kLongBurst : 1;
    take(input, table, *ring, frame);
    // The kernel needs slots as well.
    if (ring->taken() >= ring->slots() / 2) break;
  }
  if (taken == 0) return false;
  send_all(input, table);
  input.release();
  return true;
}

// Sends what was taken up to now.
void Worker::send_all(Input& input, const RuleTable& table) {
  trains_.leave_all([&](Train& train) { forward(input, table, train); });
  emitter_.flush();
  record_samples();
  copies_.clear();
}

void Worker::take(Input& input, const RuleTable& table, const RxRing& ring, RxFrame& frame) {
  if (frame.copy) {
    if (frame.length > Input::kLongIpPacket + input.link_header) input.ask_for_long_ring();
    if (copies_.room() == nullptr) send_all(input, table);
    if (!ring.read_copy(frame, copies_.room())) {
      input.counters.packets.add(1);
      input.counters.drops.add(DropReason::kCopyLost, 1);
      return;
    }
    copies_.keep(sizeof(VnetHeader) + frame.captured);
  }
  read(input, table, frame);
}

void Worker::read(Input& input, const RuleTable& table, const RxFrame& frame) {
  Datagram datagram;
  const ParseResult parsed = parse_frame(frame.data, frame.captured, frame.length,
                                         input.link_header, frame.offload, datagram);
  if (frame.vlan != 0 && !table.wants_vlan(frame.vlan)) {
    input.counters.packets.add(datagram.segments);
    input.counters.drops.add(DropReason::kVlan, datagram.segments);
    return;
  }
  if (parsed.status == ParseStatus::kDrop && parsed.reason == DropReason::kFragment) {
    take_fragment(input, table, frame);
    return;
  }
  input.counters.packets.add(datagram.segments);
  if (parsed.status == ParseStatus::kDrop) {
    input.counters.drops.add(parsed.reason, datagram.segments);
    return;
  }
  if (parsed.status == ParseStatus::kNotUdp) {
    input.counters.unmatched.add(1);
    return;
  }
  datagram.vlan = frame.vlan;
  if (frame.captured != frame.length) {
    drop_truncated(input, table, datagram, frame);
    return;
  }
  uint8_t* ip = frame.data + input.link_header;
  // What lacks an identification has passed no relay, for each of them gives it one.
  const bool may_return = datagram.ipv6 ? !lacks_flow_label(ip) : !lacks_identification(ip);
  if (may_return && table.drops_duplicates() && input.duplicates.in_loop(frame.time_ns)) {
    datagram.repeated = input.duplicates.repeated(ip, input.link_header, datagram, frame.time_ns);
  }
  const bool checksum_right = (frame.offload.flags & kVnetDataValid) != 0;
  trains_.add(datagram, ip, frame.time_ns, checksum_right,
              [&](Train& train) { forward(input, table, train); });
}

// Looks for loops. To look at every packet would cost as much as to forward it, so that the first
// of each train has to do until one is known to come back: from then on each is judged when it
// arrives. An IPv6 packet without a flow label is like those of all others who say the same:
// nothing can be told.
void Worker::watch(Input& input, Train& train) {
  DuplicateWindow& window = input.duplicates;
  const Datagram& first = train.first();
  const uint8_t* ip = train.packet(0);
  if (first.ipv6 && lacks_flow_label(ip)) return;
  if (!first.ipv6 && lacks_identification(ip)) {
    train.identify(identifications_.take(train.merged().segments));
    window.remember(ip, input.link_header, first, train.time_ns(0));
  } else if (!window.in_loop(train.time_ns(0))) {
    // Too late for this one: the others of its train were not judged.
    window.repeated(ip, input.link_header, first, train.time_ns(0));
  }
}

void Worker::forward(Input& input, const RuleTable& table, Train& train) {
  if (table.drops_duplicates()) watch(input, train);
  const Datagram datagram = train.merged();
  const uint32_t mtu = input.mtu.load(std::memory_order_relaxed);
  const size_t relays = match(table, datagram, train.packet(0), [&](const RuleMatch& rule) {
    RelayCounters& counters = rule.counters[options_.index];
    const uint64_t packets_before = counters.packets.get();
    count(counters, datagram, train.last_time_ns());
    if (datagram.ttl < rule.min_ttl) {
      counters.drops.add(DropReason::kLoop, datagram.segments);
    } else if (datagram.repeated && !rule.keep_duplicates) {
      counters.drops.add(DropReason::kDuplicate, datagram.segments);
    } else if (rule.limiter == nullptr) {
      emitter_.emit(rule.outputs, train, mtu);
      sample(counters, train, packets_before);
    } else {
      forward_within(*rule.limiter, rule, train, mtu);
      sample(counters, train, packets_before);
    }
  });
  if (relays == 0) {
    input.counters.unmatched.add(datagram.segments);
  } else {
    matched_.add(datagram.segments);
  }
}

// One packet in kSampleEvery of each relay, and its first; of a train the one that waited longest.
// A burst of more relays than there is room for leaves some out.
void Worker::sample(RelayCounters& counters, const Train& train, uint64_t packets_before) {
  const uint64_t packets = counters.packets.get();
  if (packets_before != 0 && packets_before / kSampleEvery == packets / kSampleEvery) return;
  if (sampled_ == kMaxSamples) return;
  samples_[sampled_++] = {&counters.latency, train.time_ns(0)};
}

void Worker::record_samples() {
  if (sampled_ == 0) return;
  // The clock of the ring's time stamps (tpacket_rcv).
  timespec now{};
  clock_gettime(CLOCK_REALTIME, &now);
  const uint64_t now_ns =
      static_cast<uint64_t>(now.tv_sec) * 1'000'000'000 + static_cast<uint64_t>(now.tv_nsec);
  for (size_t i = 0; i < sampled_; i++) {
    // Unless the clock was set back.
    if (now_ns >= samples_[i].arrival_ns) samples_[i].latency->add(now_ns - samples_[i].arrival_ns);
  }
  sampled_ = 0;
}

// Forwards what of a train a limit lets pass, each datagram judged by its own time. What is left
// out ends a train: segments count up without a gap.
void Worker::forward_within(RateLimiter& limiter, const RuleMatch& rule, const Train& train,
                            uint32_t mtu) {
  admitted_.clear();
  for (size_t i = 0; i < train.size(); i++) {
    const Datagram datagram = train.datagram(i);
    if (limiter.admit(datagram.segments, datagram.wire_bytes(), train.time_ns(i))) {
      admitted_.take_over(train, i);
      continue;
    }
    rule.counters[options_.index].drops.add(DropReason::kRateLimited, datagram.segments);
    if (admitted_.empty()) continue;
    emitter_.emit(rule.outputs, admitted_, mtu);
    admitted_.clear();
  }
  if (!admitted_.empty()) emitter_.emit(rule.outputs, admitted_, mtu);
}

// A frame of which the ring holds only a part, for the queue of long frames was full.
void Worker::drop_truncated(Input& input, const RuleTable& table, const Datagram& datagram,
                            const RxFrame& frame) {
  const uint8_t* ip = frame.data + input.link_header;
  const size_t relays = match(table, datagram, ip, [&](const RuleMatch& rule) {
    RelayCounters& counters = rule.counters[options_.index];
    count(counters, datagram, frame.time_ns);
    counters.drops.add(DropReason::kReceiveBufferFull, datagram.segments);
  });
  if (relays == 0) input.counters.unmatched.add(datagram.segments);
}

// A datagram in fragments is counted when it is complete or given up. Only the first fragment has
// ports, so that the kernel's filter passes those of every group.
void Worker::take_fragment(Input& input, const RuleTable& table, const RxFrame& frame) {
  InputCounters& counters = input.counters;
  const uint8_t* ip = frame.data + input.link_header;
  const bool wanted =
      ip[0] >> 4 == 6 ? table.wants_ipv6(ip, frame.vlan) : table.wants(load32(ip + 16), frame.vlan);
  if (!wanted) {
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
  const Reassembler::Result result = input.reassembler.add(frame.data, frame.vlan, frame.time_ns);
  counters.packets.add(result.given_up + result.evicted);
  counters.drops.add(DropReason::kFragment, result.given_up);
  counters.drops.add(DropReason::kTooManyFragments, result.evicted);
  if (result.length == 0) return;
  // It must stay until it is sent.
  static_assert(kEthernetHeader + kMaxIpPacket <= RxRing::kCopyBytes);
  if (copies_.room() == nullptr) send_all(input, table);
  uint8_t* kept = copies_.room();
  input.reassembler.write(kept);
  copies_.keep(result.length);
  RxFrame whole = frame;
  whole.data = kept;
  whole.captured = result.length;
  whole.length = result.length;
  whole.offload = {};
  read(input, table, whole);
}

}  // namespace mcfleet
