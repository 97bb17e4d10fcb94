#include "netlink/request.h"

#include <sys/socket.h>
#include <sys/time.h>

#include <cstring>

#include "base/unique_fd.h"

namespace mcfleet::netlink {

namespace {

// The kernel fills dump datagrams up to 32 KiB if the reader's buffer allows (netlink_dump).
constexpr std::size_t kBufferBytes = 32768;
// A kernel that stops answering must not hang the caller.
constexpr timeval kPatience{5, 0};

}  // namespace

Request::Request(std::uint16_t type, std::uint16_t flags) {
  nlmsghdr header{};
  header.nlmsg_type = type;
  // An acknowledgement tells that no more answers come; a dump ends by itself.
  header.nlmsg_flags = static_cast<std::uint16_t>(
      NLM_F_REQUEST | flags | ((flags & NLM_F_DUMP) == NLM_F_DUMP ? 0 : NLM_F_ACK));
  header.nlmsg_seq = 1;
  append(&header, sizeof(header));
}

Request& Request::append(const void* data, std::size_t size) {
  const auto* bytes = static_cast<const std::uint8_t*>(data);
  bytes_.insert(bytes_.end(), bytes, bytes + size);
  bytes_.resize((bytes_.size() + 3) & ~std::size_t{3});
  return *this;
}

Status Request::ask(int protocol, const std::function<void(const Message&)>& take) {
  const UniqueFd fd(::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol));
  if (!fd.valid()) return Error::from_errno("open a netlink socket");
  if (::setsockopt(fd.get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience)) != 0) {
    return Error::from_errno("set SO_RCVTIMEO");
  }
  const auto length = static_cast<std::uint32_t>(bytes_.size());
  std::memcpy(bytes_.data() + offsetof(nlmsghdr, nlmsg_len), &length, sizeof(length));
  if (::send(fd.get(), bytes_.data(), bytes_.size(), 0) < 0) {
    return Error::from_errno("send a netlink request");
  }
  std::vector<std::uint8_t> buffer(kBufferBytes);
  for (;;) {
    const ssize_t size = ::recv(fd.get(), buffer.data(), buffer.size(), 0);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return Error::from_errno("read a netlink answer");
    bool done = false;
    int failure = 0;
    const bool whole = for_each_message(
        Bytes(buffer.data(), static_cast<std::size_t>(size)), [&](const Message& message) {
          if (message.header.nlmsg_type == NLMSG_DONE) {
            done = true;
          } else if (message.header.nlmsg_type == NLMSG_ERROR) {
            const auto error = read_struct<nlmsgerr>(message.payload);
            failure = error ? -error->error : EBADMSG;
            done = true;
          } else {
            take(message);
          }
        });
    if (!whole) failure = EBADMSG;
    if (failure != 0) return Error{failure, "netlink request"};
    if (done) return {};
  }
}

}  // namespace mcfleet::netlink
