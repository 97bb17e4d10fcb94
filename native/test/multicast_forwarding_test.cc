// What the kernel forwards by our routes, counted at the far ends of its interfaces.
#include <string>
#include <vector>

#include "check.h"
#include "mroute/kernel_state.h"
#include "mroute/table_routes.h"
#include "multicast_router.h"

using namespace mcfleet;
using namespace mcfleet::mroute;
using namespace router;

namespace {

using Counts = std::vector<size_t>;  // at out1, out2, out3 and in

class Router final {
 public:
  explicit Router(Family family) : family_(family), routes_(open_table(family)) {
    set(Ends::last_route(family));
  }
  void set(const MulticastRoute& route) {
    const Status status = routes_.set(route);
    if (!status.ok()) std::fprintf(stderr, "%s\n", status.error().message().c_str());
    CHECK(status.ok());
  }
  // From `in` to some outputs with threshold 1.
  MulticastRoute route(const IpAddress& from, const IpAddress& to,
                       const std::vector<std::string>& outputs) const {
    MulticastRoute made{from, to, index_of("in"), {}};
    for (const std::string& name : outputs) made.outputs[index_of(name)] = 1;
    return made;
  }
  KernelRoute kernel(const IpAddress& from, const IpAddress& to) const {
    const auto dump = dump_routes(family_);
    CHECK(dump.ok());
    for (const KernelRoute& route : dump.value()) {
      if (route.source == from && route.group == to) return route;
    }
    CHECK(false);
    return {};
  }
  TableRoutes& routes() { return routes_; }

 private:
  Family family_;
  TableRoutes routes_;
};

// From its first packet, and not back to the input, though the entry has to list it.
void forwards_any_source(Family family, Ends& ends) {
  Router router(family);
  const IpAddress to = group(family, 1);
  router.set(router.route({}, to, {"out1", "out3", "in"}));
  for (uint32_t number = 1; number <= 20; number++)
    ends.send("in", datagram(source(family, number), to), 10);
  CHECK((ends.counts(family) == Counts{200, 0, 200, 0}));
  ends.send("in", datagram(source(family, 1), group(family, 2)));
  ends.send("out2", datagram(source(family, 1), to));
  CHECK((ends.counts(family) == Counts{0, 0, 0, 0}));
  CHECK(router.routes().remove({{}, to, index_of("in")}).ok());
  ends.send("in", datagram(source(family, 1), to), 3);
  CHECK((ends.counts(family) == Counts{0, 0, 0, 0}));
}

void forwards_one_source(Family family, Ends& ends) {
  Router router(family);
  const IpAddress from = source(family, 1);
  const IpAddress to = group(family, 1);
  router.set(router.route(from, to, {"out1", "out2", "in"}));
  ends.send("in", datagram(from, to), 100);
  ends.send("in", datagram(source(family, 2), to), 3);
  CHECK((ends.counts(family) == Counts{100, 100, 0, 0}));
  // From an interface that is an output.
  ends.send("out2", datagram(from, to), 7);
  CHECK((ends.counts(family) == Counts{0, 0, 0, 0}));
  CHECK_EQ(router.kernel(from, to).wrong_interface, 7U);
  // Another input takes the place of the first.
  MulticastRoute moved = router.route(from, to, {"out1"});
  moved.input = index_of("out2");
  router.set(moved);
  ends.send("out2", datagram(from, to), 5);
  ends.send("in", datagram(from, to), 3);
  CHECK((ends.counts(family) == Counts{5, 0, 0, 0}));
}

void forwards_any_group(Family family, Ends& ends) {
  Router router(family);
  router.set(router.route({}, {}, {"out2"}));
  for (uint32_t number = 1; number <= 20; number++)
    ends.send("in", datagram(source(family, number), group(family, number)));
  CHECK((ends.counts(family) == Counts{0, 20, 0, 0}));
  ends.send("out2", datagram(source(family, 1), group(family, 1)));
  ends.send("out3", datagram(source(family, 1), group(family, 1)));
  CHECK((ends.counts(family) == Counts{0, 0, 0, 0}));
  // Another output: there is one entry, not two.
  router.set(router.route({}, {}, {"out3"}));
  ends.send("in", datagram(source(family, 1), group(family, 1)), 4);
  CHECK((ends.counts(family) == Counts{0, 0, 4, 0}));
  CHECK_EQ(dump_routes(family).value().size(), 2U);
  MulticastRoute same_output = router.route({}, {}, {"out3"});
  same_output.input = index_of("out1");
  CHECK_EQ(router.routes().set(same_output).error().code, EEXIST);
  // A route for the group goes first.
  router.set(router.route({}, group(family, 1), {"out1"}));
  ends.send("in", datagram(source(family, 1), group(family, 1)), 4);
  CHECK((ends.counts(family) == Counts{4, 0, 0, 0}));
}

void honours_ttl_thresholds(Ends& ends) {
  Router router(Family::ipv4);
  const IpAddress from = source(Family::ipv4, 1);
  for (const bool any : {false, true}) {
    const IpAddress to = group(Family::ipv4, any ? 2 : 1);
    MulticastRoute route = router.route(any ? IpAddress() : from, to, {});
    route.outputs = {{index_of("out1"), 1}, {index_of("out2"), 16}, {index_of("out3"), 254}};
    router.set(route);
    for (const int ttl : {0, 1, 2, 16, 17, 254, 255}) {
      ends.send("in", datagram(from, to, static_cast<uint8_t>(ttl)));
      const Counts expected{ttl > 1, ttl > 16, ttl > 254, 0};
      CHECK(ends.counts(Family::ipv4) == expected);
      if (ttl > 1) CHECK_EQ(ends.at("out1").ttl, ttl - 1);
    }
  }
}

// The entry counts what it matched, also what no output took; the slots count what went through.
void counts_packets(Family family, Ends& ends) {
  Router router(family);
  const IpAddress from = source(family, 1);
  const IpAddress to = group(family, 1);
  const packets::Bytes frame = datagram(from, to);
  router.set(router.route(from, to, {"out2", "out3"}));
  ends.send("in", frame, 50);
  ends.send("in", datagram(from, to, 1), 4);
  CHECK((ends.counts(family) == Counts{0, 50, 50, 0}));
  const KernelRoute route = router.kernel(from, to);
  CHECK_EQ(route.packets, 54U);
  CHECK_EQ(route.bytes, 54U * (frame.size() - 14));
  CHECK_EQ(route.wrong_interface, 0U);
  CHECK_EQ(route.input, index_of("in"));
  CHECK(!route.unresolved && !route.outlives_owner);
  // Slots are filled in the order in which routes name them: in, out1, out2, out3.
  const auto in = router.routes().table().counters(0);
  const auto out = router.routes().table().counters(2);
  CHECK(in.ok() && out.ok());
  CHECK_EQ(in.value().packets_in, 54U + 1);
  CHECK_EQ(out.value().packets_out, 50U);
  CHECK_EQ(out.value().bytes_out, 50U * (frame.size() - 14));
  if (family == Family::ipv6) return;
  const auto dump = dump_interfaces();
  CHECK(dump.ok());
  CHECK_EQ(dump.value().size(), 4U);
  CHECK_EQ(dump.value()[2].ifindex, index_of("out2"));
  CHECK_EQ(dump.value()[2].packets_out, 50U);
  CHECK_EQ(dump.value()[0].packets_in, 54U + 1);
}

// A full table takes the next interface in place of one that a route gives up with the same call.
void replaces_in_a_full_table(Family family) {
  TableRoutes routes(open_table(family), 3);
  const IpAddress to = group(family, 1);
  MulticastRoute route{{}, to, index_of("in"), {{index_of("out1"), 1}, {index_of("out2"), 1}}};
  CHECK(routes.set(route).ok());
  MulticastRoute wider = route;
  wider.outputs[index_of("out3")] = 1;
  CHECK_EQ(routes.set(wider).error().code, ENOSPC);
  CHECK(dump_routes(family).value()[0].outputs.contains(index_of("out2")));
  wider.outputs.erase(index_of("out2"));
  CHECK(routes.set(wider).ok());
  const auto dump = dump_routes(family);
  CHECK_EQ(dump.value().size(), 1U);
  CHECK(dump.value()[0].outputs.contains(index_of("out1")));
  CHECK(dump.value()[0].outputs.contains(index_of("out3")));
  CHECK(!dump.value()[0].outputs.contains(index_of("out2")));
}

// The kernel does not show the empty slots of a route that somebody else wrote.
void keeps_slots_that_others_may_name() {
  const Family family = Family::ipv4;
  TableRoutes routes(open_table(family), 2);
  const MulticastRoute route{{}, group(family, 1), index_of("in"), {{index_of("out1"), 1}}};
  CHECK(routes.set(route).ok());
  auto other = MulticastTable::adopt(family, default_table(family),
                                     UniqueFd(dup(routes.table().descriptor())));
  CHECK(other.ok());
  CacheEntry foreign;
  foreign.group = group(family, 2);
  foreign.thresholds = {1, 1};
  CHECK(other.value()->set(foreign).ok());
  CHECK(routes.remove(key_of(route)).ok());
  const Status refused = routes.set(route);
  CHECK_EQ(refused.error().code, ENOSPC);
  CHECK(refused.error().message().find("(*, 239.1.1.2) is not ours") != std::string::npos);
  CHECK(other.value()->remove(foreign).ok());
  CHECK(routes.set(route).ok());
}

// The first packets wait for their route.
void holds_first_packets(Family family, Ends& ends) {
  Router router(family);
  const IpAddress from = source(family, 1);
  const IpAddress to = group(family, 1);
  ends.send("in", datagram(from, to), 3);
  CHECK((ends.counts(family) == Counts{0, 0, 0, 0}));
  CHECK(router.kernel(from, to).unresolved);
  router.set(router.route(from, to, {"out1"}));
  CHECK((ends.counts(family) == Counts{3, 0, 0, 0}));
  CHECK(!router.kernel(from, to).unresolved);
}

void refuse(Family family, const MulticastRoute& route, int code, const std::string& says) {
  TableRoutes routes(open_table(family));
  const Status status = routes.set(route);
  CHECK(!status.ok());
  CHECK_EQ(status.error().code, code);
  if (status.error().message().find(says) == std::string::npos)
    std::fprintf(stderr, "%s\n", status.error().message().c_str());
  CHECK(status.error().message().find(says) != std::string::npos);
  CHECK(dump_routes(family).value().empty());
}

void refuses_what_cannot_be() {
  const int in = index_of("in");
  const int out = index_of("out1");
  const Family v4 = Family::ipv4;
  const Family v6 = Family::ipv6;
  refuse(v4, {{}, 0xe00000fb, in, {{out, 1}}}, EOPNOTSUPP, "(*, 224.0.0.251): the kernel never");
  const auto link_local = packets::ipv6::address({0xff, 0x02}, 0xfb);
  refuse(v6, {{}, IpAddress::ipv6(link_local.data()), in, {{out, 1}}}, EOPNOTSUPP, "(*, ff02::fb)");
  refuse(v4, {{}, 0x0a000001, in, {{out, 1}}}, EINVAL, "10.0.0.1): the group is no multicast");
  refuse(v4, {0xef000001, group(v4, 1), in, {}}, EINVAL, "the source is a multicast group");
  refuse(v4, {source(v4, 1), {}, in, {{out, 1}}}, EINVAL, "takes any source");
  refuse(v4, {{}, group(v6, 1), in, {}}, EINVAL, "not of the table's family");
  refuse(v4, {{}, group(v4, 1), 0, {}}, EINVAL, "no input interface");
  refuse(v4, {{}, group(v4, 1), in, {{out, 0}}}, EINVAL, "from 1 to 254");
  refuse(v4, {{}, group(v4, 1), in, {{out, 255}}}, EINVAL, "from 1 to 254");
  refuse(v6, {{}, group(v6, 1), in, {{out, 2}}}, EOPNOTSUPP, "no hop limit threshold but 1");
  refuse(v4, {{}, {}, in, {{out, 1}, {index_of("out2"), 1}}}, EOPNOTSUPP, "one output");
  refuse(v4, {{}, group(v4, 1), in, {{0x7ffffff0, 1}}}, ENODEV, "index 2147483632");
  refuse(v4, {{}, group(v4, 1), in, {{kLoopback, 1}}}, EOPNOTSUPP, "multicast flag");
}

// The kernel would take the index modulo 65536, which is that of another interface.
void refuses_great_indices() {
  const int other = index_of("out1") + 65536;
  ip_batch("link add name great index " + std::to_string(other) +
           " type veth peer name great-far\n");
  refuse(Family::ipv6, {{}, group(Family::ipv6, 1), index_of("in"), {{other, 1}}}, EOVERFLOW,
         "great (index " + std::to_string(other) + ")");
  TableRoutes ipv4(open_table(Family::ipv4));
  CHECK(ipv4.set({{}, group(Family::ipv4, 1), index_of("in"), {{other, 1}}}).ok());
  CHECK(dump_routes(Family::ipv4).value()[0].outputs.contains(other));
}

}  // namespace

int main() {
  return run_on_one_processor([](Ends& ends) {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
      forwards_any_source(family, ends);
      forwards_one_source(family, ends);
      forwards_any_group(family, ends);
      counts_packets(family, ends);
      holds_first_packets(family, ends);
      replaces_in_a_full_table(family);
    }
    honours_ttl_thresholds(ends);
    keeps_slots_that_others_may_name();
    refuses_what_cannot_be();
    refuses_great_indices();
  });
}
