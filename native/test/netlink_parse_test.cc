#include <arpa/inet.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>

#include <memory>
#include <random>
#include <vector>

#include "check.h"
#include "netlink/dump.h"
#include "netlink/parse.h"

using namespace mcfleet::netlink;

namespace {

using Buffer = std::vector<std::uint8_t>;

template <typename T>
void put(Buffer& buffer, const T& value) {
  const auto* bytes = reinterpret_cast<const std::uint8_t*>(&value);
  buffer.insert(buffer.end(), bytes, bytes + sizeof(T));
}

void put_attribute(Buffer& buffer, std::uint16_t type, const Buffer& value) {
  put(buffer, rtattr{static_cast<std::uint16_t>(sizeof(rtattr) + value.size()), type});
  buffer.insert(buffer.end(), value.begin(), value.end());
  buffer.resize((buffer.size() + 3) & ~std::size_t{3});
}

Buffer bytes(const char* characters, bool terminated = true) {
  Buffer buffer(characters, characters + std::strlen(characters));
  if (terminated) buffer.push_back(0);
  return buffer;
}

Buffer link_payload() {
  ifinfomsg header{};
  header.ifi_index = 7;
  header.ifi_flags = 0x11043;
  header.ifi_type = 1;
  Buffer buffer;
  put(buffer, header);
  put_attribute(buffer, IFLA_IFNAME, bytes("eth0"));
  put_attribute(buffer, IFLA_ADDRESS, {2, 0, 0, 0xab, 0xcd, 1});
  Buffer mtu;
  put(mtu, std::uint32_t{9000});
  put_attribute(buffer, IFLA_MTU, mtu);
  put_attribute(buffer, IFLA_OPERSTATE, {6});
  Buffer info;
  put_attribute(info, IFLA_INFO_KIND, bytes("veth"));
  put_attribute(buffer, IFLA_LINKINFO | NLA_F_NESTED, info);
  return buffer;
}

Buffer address_payload(std::uint8_t family, std::uint8_t prefix,
                       const std::vector<std::pair<std::uint16_t, Buffer>>& attributes) {
  ifaddrmsg header{};
  header.ifa_family = family;
  header.ifa_prefixlen = prefix;
  header.ifa_index = 7;
  Buffer buffer;
  put(buffer, header);
  for (const auto& [type, value] : attributes) put_attribute(buffer, type, value);
  return buffer;
}

// A copy whose end is the end of its memory, so that the sanitizer sees a read past it.
template <typename Parse>
auto exactly(const Buffer& buffer, std::size_t length, Parse parse) {
  const std::unique_ptr<std::uint8_t[]> copy(new std::uint8_t[length]);
  std::memcpy(copy.get(), buffer.data(), length);
  return parse(Bytes(copy.get(), length));
}

void reads_a_link() {
  const auto facts = parse_link(link_payload());
  CHECK(facts);
  CHECK(facts->index == 7 && facts->name == "eth0" && facts->mac == "02:00:00:ab:cd:01");
  CHECK(facts->mtu == 9000 && facts->flags == 0x11043 && facts->type == 1);
  CHECK(facts->oper_state == "up" && facts->kind == "veth" && facts->addresses.empty());
}

void reads_addresses() {
  const auto plain = parse_address(address_payload(AF_INET, 24, {{IFA_ADDRESS, {192, 0, 2, 1}}}));
  CHECK(plain && plain->index == 7 && plain->address == "192.0.2.1/24");
  // Point to point: the peer's address is not ours.
  const auto peer = parse_address(
      address_payload(AF_INET, 32, {{IFA_ADDRESS, {192, 0, 2, 9}}, {IFA_LOCAL, {192, 0, 2, 1}}}));
  CHECK(peer && peer->address == "192.0.2.1/32");
  Buffer six(16);
  six[0] = 0xfe;
  six[1] = 0x80;
  six[15] = 1;
  const auto link_local = parse_address(address_payload(AF_INET6, 64, {{IFA_ADDRESS, six}}));
  CHECK(link_local && link_local->address == "fe80::1/64");
  CHECK(!parse_address(address_payload(AF_INET6, 64, {{IFA_ADDRESS, {192, 0, 2, 1}}})));
  CHECK(!parse_address(address_payload(AF_INET, 24, {})));
  CHECK(!parse_address(address_payload(AF_BRIDGE, 24, {{IFA_ADDRESS, {192, 0, 2, 1}}})));
}

// A message cut anywhere is refused or, at a boundary of attributes, read as far as it goes; never
// read beyond.
void survives_truncation() {
  const Buffer whole = link_payload();
  int accepted = 0;
  for (std::size_t length = 0; length < whole.size(); ++length) {
    const auto facts = exactly(whole, length, parse_link);
    if (facts) {
      ++accepted;
      CHECK(facts->name == "eth0");
    }
  }
  CHECK(accepted > 0 && accepted < static_cast<int>(whole.size()) / 2);
  const Buffer address = address_payload(AF_INET, 24, {{IFA_ADDRESS, {192, 0, 2, 1}}});
  for (std::size_t length = 0; length < address.size(); ++length) {
    CHECK(!exactly(address, length, parse_address));
  }
}

void refuses_lengths_that_lie() {
  for (const int lie : {0, 1, 3, 200, 65535}) {
    const auto length = static_cast<std::uint16_t>(lie);
    Buffer buffer = link_payload();
    std::memcpy(buffer.data() + sizeof(ifinfomsg), &length, sizeof(length));
    CHECK(!exactly(buffer, buffer.size(), parse_link));
  }
  Buffer nested = link_payload();
  nested[nested.size() - 12] = 0xff;  // IFLA_INFO_KIND's length
  CHECK(!exactly(nested, nested.size(), parse_link));
}

void reads_unterminated_text() {
  ifinfomsg header{};
  header.ifi_index = 1;
  Buffer buffer;
  put(buffer, header);
  put_attribute(buffer, IFLA_IFNAME, bytes("abcd", false));
  const auto facts = exactly(buffer, buffer.size(), parse_link);
  CHECK(facts && facts->name == "abcd");
}

void walks_messages() {
  Buffer buffer;
  for (std::uint16_t type = 1; type <= 3; ++type) {
    put(buffer, nlmsghdr{sizeof(nlmsghdr) + 4, type, 0, 0, 0});
    buffer.resize(buffer.size() + 4);
  }
  int sum = 0;
  const auto count = [&](Bytes part) {
    return for_each_message(part, [&](const Message& message) {
      CHECK(message.payload.size() == 4);
      sum += message.header.nlmsg_type;
    });
  };
  CHECK(exactly(buffer, buffer.size(), count) && sum == 6);
  for (std::size_t length = 1; length < buffer.size(); ++length) {
    CHECK(exactly(buffer, length, count) == (length % 20 == 0));
  }
}

// Whatever a message holds, parsing ends and stays within it.
void survives_noise() {
  std::mt19937 random(20261120);
  const Buffer whole = link_payload();
  for (int round = 0; round < 200'000; ++round) {
    Buffer buffer = whole;
    for (int flips = 1 + static_cast<int>(random() % 4); flips > 0; --flips) {
      buffer[random() % buffer.size()] = static_cast<std::uint8_t>(random());
    }
    const auto facts = exactly(buffer, 1 + random() % buffer.size(), parse_link);
    CHECK(!facts || !facts->name.empty());
  }
}

void dumps_this_machine() {
  const auto interfaces = dump_interfaces();
  CHECK(interfaces);
  bool found = false;
  for (const auto& facts : interfaces.value()) {
    // IFF_LOOPBACK, ARPHRD_LOOPBACK
    if (facts.name == "lo") found = (facts.flags & 8) != 0 && facts.type == 772;
  }
  CHECK(found);
}

}  // namespace

int main() {
  reads_a_link();
  reads_addresses();
  survives_truncation();
  refuses_lengths_that_lie();
  reads_unterminated_text();
  walks_messages();
  survives_noise();
  dumps_this_machine();
}
