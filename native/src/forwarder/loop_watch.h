#pragma once

#include <cstddef>
#include <cstdint>

#include "forwarder/duplicate_window.h"
#include "forwarder/train.h"
#include "packet/bytes.h"
#include "packet/identification.h"

namespace mcfleet {

// Shows a DuplicateWindow what arrives at an input: as much as it takes to know a loop, for to show
// every packet would cost as much as to forward it. Once a loop is known each packet is judged.
// Until then these are shown:
// - all, while they are few: the first kBudget of each kPeriodNs; and while packets come again;
// - of IPv4, those whose identification is a multiple of kChosen, however many come. Nothing but
//   the identification decides, so that it is the same packets at every relay and in every round;
// - the first of each train, which is enough for a sender that numbers its packets in another way.
//
// A packet is known again by its identification, and relays change that to make trains longer. They
// do not change it in what is shown, nor in anything as long as a loop is known or packets come
// again just as they came before. That is what the other relays of a loop see, whose headers are
// set by the one before them.
//
// How long a loop lives follows. Take a packet that each relay is shown each time. It keeps its
// identification, whatever it travels with, so that the relay by which it entered the loop passes
// it on 1 + DuplicateWindow::kTolerated = 8 times, and knows the loop when it comes back for the
// eighth time. Packets in a loop stay in a row: no later one was passed on more often, an earlier
// one once more for each round that it was ahead. Then each is passed on twice at most: if it was
// not shown until then, and once again if it comes with another TTL. The first packet of a loop is
// such a one if there are fewer than kBudget / 8 after a pause of kPeriodNs, and of a sender that
// counts one in kChosen is. loop_watch_test.cc tests that where trains part and meet anywhere.
//
// For IPv6, which has no identification, where more packets go round than kBudget / 8 only the
// first of each train is looked at, so that it takes as many rounds as it needs until one of them
// was that for the eighth time.
//
// One input and one thread.
class LoopWatch final {
 public:
  // 2,048 packets per second, one in 64 where there are 130,000.
  static constexpr uint32_t kBudget = 512;
  static constexpr uint64_t kPeriodNs = 250'000'000;
  // A power of two, for the identifications are counted modulo 2^16.
  static constexpr uint16_t kChosen = 1024;

  // For a packet of which all was captured, before it joins a train: tells in `datagram` whether it
  // came back too often, and what follows for its train. It may get another identification or flow
  // label, to see whether it comes back with that. `link_header`: the bytes before `ip`.
  void arrive(uint8_t* ip, size_t link_header, Datagram& datagram, uint64_t time_ns) {
    if (cannot_be_told(datagram, ip)) return;
    if (window_.in_loop(time_ns) || window_.comes_again(time_ns) || affords(time_ns) ||
        (!datagram.ipv6 && before_chosen(load16(ip + 4)) < datagram.segments)) {
      look_at(ip, link_header, datagram, time_ns);
    }
  }
  // For a train of such packets: gives identifications to those that came without.
  void leave(Train& train, size_t link_header, Identifications& identifications);
  // Whether a loop is known to be there.
  [[nodiscard]] bool in_loop(uint64_t time_ns) const { return window_.in_loop(time_ns); }

 private:
  // What lacks an identification has passed no relay, for each of them gives it one. An IPv6 packet
  // without a flow label is like those of all others who say the same: nothing can be told.
  static bool cannot_be_told(const Datagram& datagram, const uint8_t* ip) {
    return datagram.ipv6 ? lacks_flow_label(ip) : lacks_identification(ip);
  }
  // How many datagrams of a super-frame come before the first one that is chosen.
  static uint32_t before_chosen(uint16_t identification) {
    static_assert((kChosen & (kChosen - 1)) == 0);
    return -uint32_t{identification} % kChosen;
  }
  // Whether a packet that arrives now is among the first of a period.
  bool affords(uint64_t time_ns) {
    // Also when the clock was set back.
    if (time_ns - period_ns_ >= kPeriodNs) {
      period_ns_ = time_ns;
      shown_ = 0;
    }
    return shown_ < kBudget;
  }
  void look_at(uint8_t* ip, size_t link_header, Datagram& datagram, uint64_t time_ns);
  // Calls `show(segment)` for each datagram of a super-frame, or the only one, that is chosen.
  template <typename Show>
  static void each_chosen(uint16_t identification, uint16_t segments, Show&& show) {
    for (uint32_t i = before_chosen(identification); i < segments; i += kChosen) {
      show(static_cast<uint16_t>(i));
    }
  }

  DuplicateWindow window_;
  // Begin of the period, and what was shown in it.
  uint64_t period_ns_ = 0;
  uint32_t shown_ = 0;
};

}  // namespace mcfleet
