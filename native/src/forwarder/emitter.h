#pragma once

#include <sys/uio.h>

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <variant>

#include "forwarder/egress_ports.h"
#include "forwarder/rule_table.h"
#include "forwarder/train.h"
#include "packet/identification.h"
#include "packet/parse.h"

namespace mcfleet {

// Makes the copies of one worker: rewrites, and where an output needs it segments or fragments,
// into the batches of its ports. Each copy is accounted once, here or by the batch. What is emitted
// must stay where it is until flush(). Allocates only when it is made.
class Emitter final {
 public:
  // Of one worker among several.
  Emitter(size_t worker, size_t workers);

  // A copy of the train for each output: as one super-frame where the output takes that, otherwise
  // one by one. `input_mtu`: what is longer arrived in fragments. `watched`: loops are looked for
  // where it came from, so that it must keep what they are known by.
  void emit(std::span<const OutputAction> outputs, const Train& train, uint32_t input_mtu,
            bool watched);
  // Sends what emit() collected.
  void flush();
  // Whether packets wait for neighbours, so that settle() must be called every now and then.
  [[nodiscard]] bool unsettled() const { return unsettled_ != nullptr; }
  // Finds out what became of some of them.
  void settle();

 private:
  struct Way {
    EgressPort& port;
    EgressPort::Link link;
    const OutputAction& action;
    OutputCounters* counters;
    // Of the neighbour to which frames go; 0: the group's.
    uint64_t mac = 0;
    // Super-frames may go through UDP sockets.
    bool segments = false;
  };

  // How a copy leaves, or why it does not.
  std::variant<Way, DropReason> choose_way(const OutputAction& action, const Train& train);

  void emit_one(const Way& way, const Datagram& datagram, const uint8_t* ip, uint32_t input_mtu);
  void emit_whole(const Way& way, const Datagram& datagram, const uint8_t* ip);
  // As emit_whole(); only the headers are at `headers`, and the payload is sent from where it lies.
  void emit_pieces(const Way& way, const Datagram& datagram, const uint8_t* headers,
                   std::span<const iovec> pieces);
  // The payload of a train, for all its outputs: of super-frames from where it lies. That of
  // datagrams is copied together, which costs less than to let the kernel read it piece by piece,
  // even for one output (docs/measurements.md).
  std::span<const iovec> share_payload(const Train& train);
  // Whether a train may leave as a super-frame through a UDP socket.
  static bool goes_by_socket(const Way& way, const Train& train, const Datagram& merged,
                             bool watched);
  // Sends a train as a super-frame through a UDP socket. False: it has to leave in another way.
  bool emit_by_socket(const Way& way, const Train& train, const Datagram& merged,
                      const uint8_t* headers, std::span<const iovec> pieces);
  void emit_segments(const Way& way, const Datagram& super, const uint8_t* ip, bool may_fragment);
  void emit_fragments(const Way& way, const Datagram& datagram, const uint8_t* rewritten,
                      bool may_fragment);
  template <typename AnyFragmenter>
  void send_fragments(const Way& way, const Datagram& datagram, AnyFragmenter& fragmenter,
                      bool may_fragment);
  // Bytes before an IP packet in the port's batch.
  static size_t frame_headers(const Way& way);
  // Room for one IP packet of up to `size` bytes in the port's batch, behind the headers of its
  // link, and for pieces that lie elsewhere.
  uint8_t* open_frame(const Way& way, size_t size, size_t pieces = 0);
  // Completes the frame of the last open_frame() with an IP packet of `size` bytes, the pieces
  // behind it. `datagram` describes what the device still has to do.
  void close_frame(const Way& way, uint8_t* ip, size_t size, const Datagram& datagram,
                   const TxAccount& account, std::span<const iovec> pieces = {});

  void list_pending(EgressPort& port);
  void list_unsettled(EgressPort& port);

  const size_t worker_;
  FragmentIdentifications fragment_ids_;
  EgressPort* pending_ = nullptr;
  // Ports with packets that wait for neighbours; the last one is the next to look at after the
  // others.
  EgressPort* unsettled_ = nullptr;
  EgressPort* last_unsettled_ = nullptr;
  size_t unsettled_count_ = 0;
  // Where the payload of one train is, and that payload, if it was copied; in use until flush().
  std::array<iovec, Train::kMaxDatagrams> pieces_{};
  std::unique_ptr<uint8_t[]> shared_;
  bool shared_in_use_ = false;
  std::unique_ptr<uint8_t[]> whole_;
  std::unique_ptr<uint8_t[]> segment_;
};

}  // namespace mcfleet
