// What goes through an io_uring arrives once and in order, and what is refused is told by message.
#include "ring/uring_sender.h"

#include <sys/socket.h>
#include <sys/un.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <vector>

#include "check.h"

using namespace mcfleet;

namespace {

struct Pair {
  UniqueFd sender;
  UniqueFd receiver;
};

Pair open_pair() {
  std::array<int, 2> fds{};
  CHECK(socketpair(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK, 0, fds.data()) == 0);
  return {UniqueFd(fds[0]), UniqueFd(fds[1])};
}

// Messages of one number each; every third in two pieces, so that SEND and SENDMSG mix.
struct Messages {
  std::array<std::array<uint32_t, 2>, UringSender::kEntries> content{};
  std::array<std::array<iovec, 2>, UringSender::kEntries> vectors{};
  std::array<mmsghdr, UringSender::kEntries> headers{};
  std::array<int, UringSender::kEntries> results{};

  explicit Messages(uint32_t first) {
    for (size_t i = 0; i < headers.size(); i++) {
      content[i] = {first + static_cast<uint32_t>(i), 7};
      vectors[i] = {iovec{content[i].data(), 4}, iovec{&content[i][1], 4}};
      headers[i].msg_hdr.msg_iov = vectors[i].data();
      headers[i].msg_hdr.msg_iovlen = i % 3 == 0 ? 2 : 1;
    }
  }
  void send(UringSender& sender, size_t count) {
    sender.send({headers.data(), count}, {results.data(), count});
  }
};

// The number of the next message; -1 if there is none.
int64_t receive(const Pair& pair, size_t& size) {
  std::array<uint32_t, 2> got{};
  const ssize_t length = recv(pair.receiver.get(), got.data(), sizeof(got), MSG_DONTWAIT);
  size = length < 0 ? 0 : static_cast<size_t>(length);
  return length < 0 ? -1 : int64_t{got[0]};
}

std::unique_ptr<UringSender> open_sender(const Pair& pair) {
  auto opened = UringSender::open(pair.sender.get());
  CHECK(opened.ok());
  return std::move(opened.value());
}

void sends_in_order() {
  const Pair pair = open_pair();
  const auto sender = open_sender(pair);
  uint32_t next = 0;
  uint32_t expected = 0;
  // Long enough that both queues wrap, in batches of every size.
  for (size_t round = 0; round < 300; round++) {
    const size_t count = 1 + round % 8;
    Messages messages(next);
    messages.send(*sender, count);
    next += static_cast<uint32_t>(count);
    for (size_t i = 0; i < count; i++) {
      CHECK_EQ(messages.results[i], i % 3 == 0 ? 8 : 4);
      size_t size = 0;
      CHECK_EQ(receive(pair, size), int64_t{expected++});
      CHECK_EQ(size, i % 3 == 0 ? 8U : 4U);
    }
  }
  size_t size = 0;
  CHECK_EQ(receive(pair, size), -1);
}

void tells_which_messages_a_full_socket_refused() {
  const Pair pair = open_pair();
  const auto sender = open_sender(pair);
  // net.unix.max_dgram_qlen is far less than this.
  size_t accepted = 0;
  for (uint32_t round = 0; round < 100; round++) {
    Messages messages(round * UringSender::kEntries);
    messages.send(*sender, UringSender::kEntries);
    for (const int result : messages.results) {
      CHECK(result > 0 || result == -EAGAIN);
      if (result > 0) accepted++;
    }
  }
  size_t arrived = 0;
  for (size_t size = 0; receive(pair, size) >= 0;) arrived++;
  CHECK(accepted > 0 && accepted < size_t{100} * UringSender::kEntries);
  CHECK_EQ(arrived, accepted);
}

void one_refused_message_holds_up_no_other() {
  const Pair pair = open_pair();
  const auto sender = open_sender(pair);
  Messages messages(0);
  // Nobody is bound there.
  sockaddr_un nowhere{};
  nowhere.sun_family = AF_UNIX;
  std::strcpy(nowhere.sun_path + 1, "mcfleet-nobody");
  messages.headers[2].msg_hdr.msg_name = &nowhere;
  messages.headers[2].msg_hdr.msg_namelen = sizeof(nowhere);
  messages.send(*sender, 5);
  const int refused = messages.results[2];
  CHECK(refused == -ECONNREFUSED || refused == -EISCONN);
  for (const int64_t expected : {0, 1, 3, 4, -1}) {
    size_t size = 0;
    CHECK_EQ(receive(pair, size), expected);
  }
}

void keeps_the_socket() {
  Pair pair = open_pair();
  const auto sender = open_sender(pair);
  pair.sender.reset();
  Messages messages(42);
  messages.send(*sender, 1);
  size_t size = 0;
  CHECK_EQ(receive(pair, size), 42);
}

void refuses_what_is_no_socket() {
  CHECK(!UringSender::open(1 << 20).ok());
}

}  // namespace

int main() {
  if (uring_support() != UringSupport::kReady) {
    std::cerr << "io_uring cannot be used here\n";
    return 77;
  }
  sends_in_order();
  tells_which_messages_a_full_socket_refused();
  one_refused_message_holds_up_no_other();
  keeps_the_socket();
  refuses_what_is_no_socket();
}
