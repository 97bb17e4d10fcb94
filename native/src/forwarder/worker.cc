#include "forwarder/worker.h"

#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>

#include <algorithm>
#include <cstring>

#include "forwarder/threads.h"
#include "packet/bytes.h"
#include "packet/identification.h"
#include "packet/parse.h"

namespace mcfleet {
namespace {

using Clock = std::chrono::steady_clock;

// Frames taken from one ring before what they gave is sent: five super-frames of the most common
// size. 64 cost a tenth more, 512 gain nothing (docs/measurements.md).
constexpr size_t kBurst = 256;
// Bursts per input and round, so that a quiescent point is never far away.
constexpr int kBurstsPerRound = 16;
// Packets of a relay from one whose latency is taken to the next.
constexpr uint64_t kSampleEvery = 16;
// Looks between two readings of the clock.
constexpr int kLooks = 16;
// As a real-time audio server asks for: ahead of every ordinary program, behind the kernel's own.
constexpr int kNice = -15;

void count(RelayCounters& counters, const Datagram& datagram, uint64_t time_ns) {
  counters.packets.add(datagram.segments);
  counters.bytes.add(datagram.wire_bytes());
  counters.last_packet_ns.set(time_ns);
}

template <typename Visit>
size_t match(const RuleTable& table, const Datagram& datagram, Visit&& visit) {
  return table.match(datagram.destination, datagram.destination_port, datagram.source,
                     datagram.vlan, visit);
}

}  // namespace

Result<std::unique_ptr<Worker>> Worker::start(std::chrono::microseconds busy_poll) {
  UniqueFd wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake.valid()) return Error::from_errno("open an event descriptor");
  std::unique_ptr<Worker> worker(new Worker(std::move(wake), busy_poll));
  // From here on the thread is known to run, and how.
  worker->quiesce();
  return worker;
}

Worker::Worker(UniqueFd wake, std::chrono::microseconds busy_poll)
    : wake_(std::move(wake)), busy_poll_(busy_poll) {
  publish({});
  thread_ = start_thread("mcf-forward-0", [this] { run(); });
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

void Worker::publish(std::vector<Input*> inputs) {
  auto next = std::make_unique<Inputs>();
  next->inputs = std::move(inputs);
  for (const Input* input : next->inputs) {
    next->waiting.push_back({input->ring.fd(), POLLIN, 0});
  }
  next->waiting.push_back({wake_.get(), POLLIN, 0});
  inputs_.store(next.get(), std::memory_order_release);
  if (published_ != nullptr) retired_.push_back(std::move(published_));
  published_ = std::move(next);
  eventfd_write(wake_.get(), 1);
}

void Worker::quiesce() {
  const uint64_t target = requested_.fetch_add(1, std::memory_order_acq_rel) + 1;
  eventfd_write(wake_.get(), 1);
  for (;;) {
    const uint64_t passed = passed_.load(std::memory_order_acquire);
    if (passed >= target) break;
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
  Clock::time_point busy_until{};
  while (!stopping_.load(std::memory_order_acquire)) {
    pass_quiescent_point();
    Inputs& all = *inputs_.load(std::memory_order_acquire);
    bool found = false;
    for (int look = 0; look < kLooks && !found; look++) {
      for (Input* input : all.inputs) {
        for (int burst = 0; burst < kBurstsPerRound && drain(*input); burst++) found = true;
      }
      if (busy_poll_.count() == 0) break;
    }
    if (found) {
      if (busy_poll_.count() > 0) busy_until = Clock::now() + busy_poll_;
    } else if (busy_poll_.count() == 0 || Clock::now() >= busy_until) {
      sleep(all);
    }
  }
}

void Worker::sleep(Inputs& all) {
  // Not by epoll: it would stay in the sockets' wait queues also while the worker is awake, and
  // each packet's sender would pay for that.
  if (poll(all.waiting.data(), all.waiting.size(), -1) <= 0) return;
  for (size_t i = 0; i < all.inputs.size(); i++) {
    // What became of the interface is told by netlink.
    if ((all.waiting[i].revents & POLLERR) != 0) all.inputs[i]->ring.clear_error();
  }
  if (all.waiting.back().revents != 0) {
    eventfd_t ignored = 0;
    eventfd_read(wake_.get(), &ignored);
  }
}

// Forwards one burst. Returns whether there was anything.
bool Worker::drain(Input& input) {
  const RuleTable& table = *input.table.load(std::memory_order_acquire);
  const size_t most = std::min(kBurst, input.ring.slots() / 2);
  size_t taken = 0;
  for (RxFrame frame; taken < most && input.ring.take(frame); taken++) {
    take(input, table, frame);
  }
  if (taken == 0) return false;
  send_all(input, table);
  input.ring.release();
  return true;
}

// Sends what was taken up to now.
void Worker::send_all(Input& input, const RuleTable& table) {
  trains_.leave_all([&](const Train& train) { forward(input, table, train); });
  emitter_.flush();
  record_samples();
  copies_.clear();
}

void Worker::take(Input& input, const RuleTable& table, RxFrame& frame) {
  if (frame.copy) {
    if (copies_.room() == nullptr) send_all(input, table);
    if (!input.ring.read_copy(frame, copies_.room())) {
      input.counters.packets.add(1);
      input.counters.drops.add(DropReason::kCopyLost, 1);
      return;
    }
    copies_.keep(sizeof(VnetHeader) + frame.captured);
  }
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
  if (parsed.status == ParseStatus::kNotUdp4) {
    input.counters.unmatched.add(1);
    return;
  }
  datagram.vlan = frame.vlan;
  if (frame.captured != frame.length) {
    drop_truncated(input, table, datagram, frame.time_ns);
    return;
  }
  uint8_t* ip = frame.data + input.link_header;
  if (table.drops_duplicates()) recognise(input, ip, datagram, frame.time_ns);
  const bool checksum_right = (frame.offload.flags & kVnetDataValid) != 0;
  trains_.add(datagram, ip, frame.time_ns, checksum_right,
              [&](const Train& train) { forward(input, table, train); });
}

// Tells whether a datagram came back. What lacks an identification has passed no relay, for each of
// them gives it one, which it keeps on its way.
void Worker::recognise(Input& input, uint8_t* ip, Datagram& datagram, uint64_t time_ns) {
  DuplicateWindow& window = input.duplicates;
  if (lacks_identification(ip)) {
    set_identification(ip, trains_.next_identification(datagram));
    window.remember(ip, input.link_header, datagram, time_ns);
  } else {
    datagram.repeated = window.repeated(ip, input.link_header, datagram, time_ns);
  }
}

void Worker::forward(Input& input, const RuleTable& table, const Train& train) {
  const Datagram datagram = train.merged();
  const uint32_t mtu = input.mtu.load(std::memory_order_relaxed);
  const size_t relays = match(table, datagram, [&](const RuleMatch& rule) {
    const uint64_t packets_before = rule.counters->packets.get();
    count(*rule.counters, datagram, train.last_time_ns());
    if (datagram.ttl < rule.min_ttl) {
      rule.counters->drops.add(DropReason::kLoop, datagram.segments);
    } else if (datagram.repeated && !rule.keep_duplicates) {
      rule.counters->drops.add(DropReason::kDuplicate, datagram.segments);
    } else if (rule.limiter == nullptr) {
      emitter_.emit(rule.outputs, train, mtu);
      sample(*rule.counters, train, packets_before);
    } else {
      forward_within(*rule.limiter, rule, train, mtu);
      sample(*rule.counters, train, packets_before);
    }
  });
  if (relays == 0) input.counters.unmatched.add(datagram.segments);
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
    rule.counters->drops.add(DropReason::kRateLimited, datagram.segments);
    if (admitted_.empty()) continue;
    emitter_.emit(rule.outputs, admitted_, mtu);
    admitted_.clear();
  }
  if (!admitted_.empty()) emitter_.emit(rule.outputs, admitted_, mtu);
}

// A frame of which the ring holds only a part, for the queue of long frames was full.
void Worker::drop_truncated(Input& input, const RuleTable& table, const Datagram& datagram,
                            uint64_t time_ns) {
  const size_t relays = match(table, datagram, [&](const RuleMatch& rule) {
    count(*rule.counters, datagram, time_ns);
    rule.counters->drops.add(DropReason::kReceiveBufferFull, datagram.segments);
  });
  if (relays == 0) input.counters.unmatched.add(datagram.segments);
}

// A datagram in fragments is counted when it is complete or given up. Only the first fragment has
// ports, so that the kernel's filter passes those of every group.
void Worker::take_fragment(Input& input, const RuleTable& table, const RxFrame& frame) {
  InputCounters& counters = input.counters;
  if (!table.wants(load32(frame.data + input.link_header + 16), frame.vlan)) {
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
  counters.packets.add(result.given_up);
  counters.drops.add(DropReason::kFragment, result.given_up);
  if (result.frame == nullptr) return;
  // What was put together is overwritten by the next; it must stay until it is sent.
  if (copies_.room() == nullptr) send_all(input, table);
  uint8_t* kept = copies_.room();
  std::memcpy(kept, result.frame, result.length);
  copies_.keep(result.length);
  RxFrame whole = frame;
  whole.data = kept;
  whole.copy = false;
  whole.captured = result.length;
  whole.length = result.length;
  whole.offload = {};
  take(input, table, whole);
}

}  // namespace mcfleet
