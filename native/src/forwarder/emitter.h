#pragma once

#include <cstdint>
#include <memory>

#include "forwarder/egress_port.h"
#include "forwarder/rule_table.h"
#include "packet/parse.h"

namespace mcfleet {

// Makes the copies of one worker: rewrites, and where an output needs it segments or fragments,
// into the batches of its ports. Each copy is accounted once, here or by the batch. Allocates only
// when it is made.
class Emitter final {
 public:
  Emitter();

  // One copy of the datagram at `ip`. `input_mtu`: what is longer arrived in fragments.
  void emit(const OutputAction& action, const Datagram& datagram, const uint8_t* ip,
            uint32_t input_mtu);
  // Sends what emit() collected.
  void flush();

 private:
  struct Way {
    EgressPort& port;
    EgressPort::Link link;
    const OutputAction& action;
  };

  void emit_whole(const Way& way, const Datagram& datagram, const uint8_t* ip);
  void emit_segments(const Way& way, const Datagram& super, const uint8_t* ip, bool may_fragment);
  void emit_fragments(const Way& way, const Datagram& datagram, const uint8_t* rewritten,
                      bool may_fragment);
  // Room for one IP packet of up to `size` bytes in the port's batch, behind the headers of its
  // link.
  uint8_t* open_frame(const Way& way, size_t size);
  // Completes the frame of the last open_frame() with an IP packet of `size` bytes. `datagram`
  // describes what the device still has to do.
  void close_frame(const Way& way, uint8_t* ip, size_t size, const Datagram& datagram,
                   const TxAccount& account);

  EgressPort* pending_ = nullptr;
  std::unique_ptr<uint8_t[]> whole_;
  std::unique_ptr<uint8_t[]> segment_;
};

}  // namespace mcfleet
