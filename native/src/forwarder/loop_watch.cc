#include "forwarder/loop_watch.h"

namespace mcfleet {
namespace {

void put_mark(uint8_t* ip, const Datagram& datagram, uint32_t mark) {
  if (datagram.ipv6) {
    set_flow_label(ip, mark);
  } else {
    set_identification(ip, static_cast<uint16_t>(mark));
  }
}

}  // namespace

void LoopWatch::look_at(uint8_t* ip, size_t link_header, Datagram& datagram, uint64_t time_ns) {
  uint32_t mark = 0;
  const auto show = [&](uint16_t segment) {
    // By its first datagram a super-frame is judged.
    const auto verdict = window_.judge(ip, link_header, datagram, time_ns, segment, segment == 0);
    datagram.keeps_identification = true;
    if (segment != 0) return;
    datagram.shown = true;
    datagram.repeated = verdict.repeated;
    mark = verdict.mark;
  };
  if (window_.in_loop(time_ns)) {
    show(0);
  } else {
    datagram.keeps_identification = window_.comes_again(time_ns);
    // What has a mark must not come back unseen.
    if (datagram.keeps_identification || affords(time_ns)) {
      shown_ += datagram.segments;
      for (uint16_t i = 0; i < datagram.segments; i++) show(i);
    } else if (!datagram.ipv6) {
      each_chosen(load16(ip + 4), datagram.segments, show);
    }
  }
  if (mark != 0) put_mark(ip, datagram, mark);
}

void LoopWatch::leave(Train& train, size_t link_header, Identifications& identifications) {
  const Datagram& first = train.first();
  const uint8_t* ip = train.packet(0);
  if (!cannot_be_told(first, ip)) {
    // Too late for this one: the others of its train were not judged.
    if (!first.shown) window_.judge(ip, link_header, first, train.time_ns(0), 0, false);
    return;
  }
  if (first.ipv6) return;
  train.identify(identifications.take(train.datagrams()));
  const bool all = window_.in_loop(train.time_ns(0)) || affords(train.time_ns(0));
  if (all) shown_ += static_cast<uint32_t>(train.datagrams());
  for (size_t i = 0; i < train.size(); i++) {
    const Datagram datagram = train.datagram(i);
    const auto remember = [&](uint16_t segment) {
      window_.remember(train.packet(i), link_header, datagram, train.time_ns(i), segment);
    };
    if (all) {
      for (uint16_t segment = 0; segment < datagram.segments; segment++) remember(segment);
    } else {
      each_chosen(load16(train.packet(i) + 4), datagram.segments, remember);
    }
  }
}

}  // namespace mcfleet
