#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "packet/parse.h"

namespace mcfleet {

// Packets of one flow, in their order, that can leave as one super-frame: equal headers, datagrams
// of equal size but for the last, which may be shorter, and right checksums of one kind, for
// whoever cuts it makes new ones. Each is a datagram or a super-frame. What is pointed to lies in
// the slots of a ring.
class Train final {
 public:
  // UDP_MAX_SEGMENTS of Linux since 6.9 (linux/udp.h); receivers that put datagrams together again
  // are built for that.
  static constexpr size_t kMaxDatagrams = 128;
  // IP header without options, UDP header: at most.
  static constexpr size_t kMaxHeaders = kIpv6Header + kUdpHeader;

  [[nodiscard]] bool empty() const { return size_ == 0; }
  // Packets, which hold datagrams() together.
  [[nodiscard]] size_t size() const { return size_; }
  [[nodiscard]] size_t datagrams() const { return datagrams_; }
  [[nodiscard]] const Datagram& first() const { return first_; }
  [[nodiscard]] uint64_t last_time_ns() const { return times_[size_ - 1]; }

  // One of the packets as it was parsed, and its bytes.
  [[nodiscard]] Datagram datagram(size_t index) const;
  [[nodiscard]] const uint8_t* packet(size_t index) const { return packets_[index]; }
  // When it arrived.
  [[nodiscard]] uint64_t time_ns(size_t index) const { return times_[index]; }

  // UDP payload of one of them.
  [[nodiscard]] size_t payload_of(size_t index) const { return payloads_[index]; }

  // All of them as one super-frame; the only packet, if it is alone.
  [[nodiscard]] Datagram merged() const;
  // Bytes of the headers of IP and UDP.
  [[nodiscard]] size_t headers() const { return size_t{first_.ip_header} + kUdpHeader; }
  // Writes the headers of that super-frame, headers() bytes. The UDP checksum is left as it comes:
  // a verified one means nothing.
  void write_headers(uint8_t* to) const;
  // Copies its payload together.
  void write_payload(uint8_t* to) const;

  // Gives its packets identifications that count up from `first`. IPv4 only.
  void identify(uint16_t first);

  // For a train that shall be a part of another one, without a gap: takes over a packet of it.
  void clear() { size_ = 0; }
  void take_over(const Train& from, size_t index);

 private:
  friend class Trains;
  void start(const Datagram& datagram, uint8_t* ip, uint64_t time_ns, bool checksum_right);
  // Takes the packet, if it fits behind the others.
  bool append(const Datagram& datagram, uint8_t* ip, uint64_t time_ns);
  // Payload of each datagram but the last.
  [[nodiscard]] size_t segment() const;
  // Of what joins next.
  [[nodiscard]] uint16_t next_identification() const;
  // Whether a datagram of this train came with it, or of the sender's super-frame of which the
  // train has the end. Then it tells nothing: a socket with UDP_SEGMENT counts up by one for a
  // super-frame, and for each of its segments by one, so that they overlap. Not if it is that of
  // the last one, for a copy of a packet keeps what it has, by which loops are known.
  [[nodiscard]] bool has_given(uint16_t identification) const;

  Datagram first_;
  size_t size_ = 0;
  size_t datagrams_ = 0;
  // UDP payload of all together.
  size_t payload_ = 0;
  // With which the last one came. IPv4 only.
  uint16_t last_identification_ = 0;
  // Whether the first one's checksum is known to be right.
  bool checksum_right_ = false;
  std::array<uint8_t*, kMaxDatagrams> packets_{};
  std::array<uint64_t, kMaxDatagrams> times_{};
  std::array<uint16_t, kMaxDatagrams> payloads_{};
};

// The trains that one burst of a ring gives. Datagrams of one flow leave in the order in which they
// were added, whether in a train or alone; flows may overtake each other. Nothing waits for a later
// burst.
class Trains final {
 public:
  // Flows that are kept apart. With more, trains are shorter.
  static constexpr size_t kFlows = 32;

  Trains();

  // Adds one datagram or super-frame. `checksum_right`: somebody has verified it already. Calls
  // `leave(Train&)` for trains that are complete. A packet that joins others may get another
  // identification.
  template <typename Leave>
  void add(const Datagram& datagram, uint8_t* ip, uint64_t time_ns, bool checksum_right,
           Leave&& leave) {
    Train* train = find(datagram);
    if (train == nullptr) {
      leave_all(leave);
      train = find(datagram);
    }
    if (!train->empty() && !join(*train, datagram, ip, time_ns, checksum_right)) {
      depart(*train, leave);
    } else if (!train->empty()) {
      if (!may_grow(*train)) depart(*train, leave);
      return;
    }
    train->start(datagram, ip, time_ns, checksum_right);
    if (!may_start(datagram, ip) || !may_grow(*train)) depart(*train, leave);
  }

  // Lets all of them leave.
  template <typename Leave>
  void leave_all(Leave&& leave) {
    for (size_t i = 0; i < used_; i++) {
      if (!trains_[i].empty()) depart(trains_[i], leave);
    }
    forget();
  }

 private:
  static constexpr size_t kBuckets = 2 * kFlows;
  static constexpr uint8_t kFree = 0xff;

  struct Key {
    uint64_t addresses = 0;
    uint32_t ports = 0;
    uint16_t vlan = 0;
    bool operator==(const Key&) const = default;
  };

  template <typename Leave>
  static void depart(Train& train, Leave&& leave) {
    leave(train);
    train.size_ = 0;
  }
  // The train of the datagram's flow, which may be empty; null if there are too many flows.
  Train* find(const Datagram& datagram);
  static bool join(Train& train, const Datagram& datagram, uint8_t* ip, uint64_t time_ns,
                   bool checksum_right);
  // Whether others could follow.
  static bool may_start(const Datagram& datagram, const uint8_t* ip);
  static bool may_grow(const Train& train);
  void forget();

  size_t used_ = 0;
  std::array<uint8_t, kBuckets> buckets_;
  std::array<Key, kFlows> keys_;
  std::unique_ptr<Train[]> trains_;
};

}  // namespace mcfleet
