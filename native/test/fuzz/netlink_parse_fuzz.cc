#include "netlink/parse.h"

using namespace mcfleet::netlink;

// A datagram of any bytes: walked, and each message's payload read as every kind.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const bool whole = for_each_message(Bytes(data, size), [](const Message& message) {
    (void)parse_link(message.payload);
    (void)parse_address(message.payload);
  });
  (void)whole;
  return 0;
}
