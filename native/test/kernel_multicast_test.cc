// What our tables rely on or guard against in the kernel's multicast routing, without their guards.
#include <sys/socket.h>

#include <memory>
#include <string>
#include <vector>

#include "check.h"
#include "mroute/ipv4_table.h"
#include "mroute/kernel_headers.h"
#include "mroute/kernel_state.h"
#include "multicast_router.h"

using namespace mcfleet;
using namespace mcfleet::mroute;
using namespace router;

namespace {

using Counts = std::vector<size_t>;  // at out1, out2, out3 and in

constexpr Slot kIn = 0;
constexpr Slot kOut1 = 1;
constexpr Slot kOut2 = 2;
constexpr Slot kOut3 = 3;

std::vector<KernelRoute> kernel_routes(Family family) {
  auto found = dump_routes(family);
  CHECK(found.ok());
  return std::move(found.value());
}

CacheEntry entry(Family family, uint32_t from, uint32_t to, Slot input,
                 const std::vector<Slot>& outputs) {
  CacheEntry made;
  if (from != 0) made.source = source(family, from);
  made.group = group(family, to);
  made.input = input;
  for (const Slot slot : outputs) made.thresholds[slot] = 1;
  return made;
}

// All four interfaces in their slots, and the route of the packets that are last.
void fill(MulticastTable& table) {
  Slot slot = 0;
  for (const std::string& name : kLinks) CHECK(table.add_interface(slot++, index_of(name)).ok());
  CHECK(table.set(entry(table.family(), 0, 0xff, kIn, {kIn, kOut1})).ok());
}

std::unique_ptr<MulticastTable> filled_table(Family family) {
  auto table = open_table(family);
  fill(*table);
  return table;
}

void send(Family family, Ends& ends, const std::string& link, size_t times) {
  ends.send(link, datagram(source(family, 1), group(family, 1)), times);
}

// An entry with an exact source that lists its own input sends back to it.
void echoes_to_a_listed_input(Family family, Ends& ends) {
  const auto table = filled_table(family);
  CHECK(table->set(entry(family, 1, 1, kIn, {kIn, kOut1})).ok());
  send(family, ends, "in", 10);
  CHECK((ends.counts(family) == Counts{10, 0, 0, 10}));
}

// A slot's next interface gets what routes send to the slot, and nobody sees that before.
void redirects_by_a_reused_slot(Family family, Ends& ends) {
  const auto table = filled_table(family);
  CHECK(table->set(entry(family, 1, 1, kIn, {kOut2})).ok());
  CHECK(table->remove_interface(kOut2).ok());
  for (const KernelRoute& route : kernel_routes(family))
    CHECK(route.group != group(family, 1) || route.outputs.empty());
  CHECK(table->remove_interface(kOut3).ok());
  CHECK(table->add_interface(kOut2, index_of("out3")).ok());
  send(family, ends, "in", 10);
  CHECK((ends.counts(family) == Counts{0, 0, 10, 0}));
}

// An entry for any group lends what it lists to those of any source for one group: here, what comes
// from its output goes where only `in` should go.
void lends_interfaces_of_any_group(Family family, Ends& ends) {
  const auto table = filled_table(family);
  CHECK(table->set(entry(family, 0, 1, kIn, {kIn, kOut1})).ok());
  send(family, ends, "out2", 10);
  CHECK((ends.counts(family) == Counts{0, 0, 0, 0}));
  CacheEntry any_group;
  any_group.input = kOut2;
  any_group.thresholds[kIn] = any_group.thresholds[kOut2] = 1;
  CHECK(table->set(any_group).ok());
  send(family, ends, "out2", 10);
  const Counts counts = ends.counts(family);
  CHECK_EQ(counts[0], 10U);
}

// Of two entries for one source and group, by input, only one forwards; two tables do.
void forwards_one_source_from_two_inputs_by_two_tables(Ends& ends) {
  const Family family = Family::ipv4;
  {
    const auto table = filled_table(family);
    for (const Slot input : {kIn, kOut3}) {
      const CacheEntry wanted = entry(family, 1, 1, input, {kOut1});
      mfcctl control{};
      control.mfcc_origin.s_addr = htonl(wanted.source.ipv4());
      control.mfcc_mcastgrp.s_addr = htonl(wanted.group.ipv4());
      control.mfcc_parent = input;
      control.mfcc_ttls[kOut1] = 1;
      CHECK(setsockopt(table->descriptor(), IPPROTO_IP, MRT_ADD_MFC_PROXY, &control,
                       sizeof(control)) == 0);
    }
    CHECK_EQ(kernel_routes(family).size(), 3U);
    send(family, ends, "in", 10);
    const size_t from_in = ends.counts(family)[0];
    send(family, ends, "out3", 10);
    const size_t from_out3 = ends.counts(family)[0];
    CHECK_EQ(from_in + from_out3, 10U);
  }
  const auto table = filled_table(family);
  const auto other = open_table(family, 100);
  Slot slot = 0;
  for (const std::string& name : kLinks) CHECK(other->add_interface(slot++, index_of(name)).ok());
  CHECK(table->set(entry(family, 1, 1, kIn, {kOut1})).ok());
  CHECK(other->set(entry(family, 1, 1, kOut3, {kOut1})).ok());
  ip_batch("mrule add iif out3 lookup 100\n");
  send(family, ends, "in", 10);
  send(family, ends, "out3", 10);
  CHECK((ends.counts(family) == Counts{20, 0, 0, 0}));
  ip_batch("mrule del iif out3 lookup 100\n");
}

// Entries that another socket than the owner wrote outlive the owner, and forward as long as any
// table of the namespace has one.
void forwards_static_entries_while_any_table_is_owned(Ends& ends) {
  const Family family = Family::ipv4;
  auto owner = filled_table(family);
  const UniqueFd raw(socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_IGMP));
  CHECK(raw.valid());
  Ipv4Table writer(default_table(family), UniqueFd(dup(raw.get())), KernelCalls::real());
  for (const Slot slot : {kIn, kOut1}) CHECK(writer.remove_interface(slot).ok());
  CHECK(writer.add_interface(kIn, index_of("in")).ok());
  CHECK(writer.add_interface(kOut1, index_of("out1")).ok());
  CHECK(writer.set(entry(family, 1, 1, kIn, {kOut1})).ok());
  CHECK(writer.set(entry(family, 0, 0xff, kIn, {kIn, kOut1})).ok());
  auto scratch = open_table(family, 999);
  owner.reset();
  CHECK_EQ(kernel_routes(family).size(), 2U);
  CHECK(kernel_routes(family)[0].outlives_owner);
  send(family, ends, "in", 10);
  CHECK((ends.counts(family) == Counts{10, 0, 0, 0}));
  // They sleep without any.
  scratch.reset();
  send(family, ends, "in", 10);
  scratch = open_table(family, 999);
  CHECK((ends.counts(family) == Counts{0, 0, 0, 0}));
  send(family, ends, "in", 10);
  CHECK((ends.counts(family) == Counts{10, 0, 0, 0}));
  const int everything = MRT_FLUSH_MFC_STATIC | MRT_FLUSH_VIFS_STATIC;
  CHECK(setsockopt(raw.get(), IPPROTO_IP, MRT_FLUSH, &everything, sizeof(everything)) == 0);
  CHECK(kernel_routes(family).empty());
}

// Reports that nobody reads fill the owner's socket; then packets do not wait for their route any
// more.
void drops_first_packets_when_nobody_reads(Ends& ends) {
  const Family family = Family::ipv4;
  const auto table = filled_table(family);
  const int least = 0;
  CHECK(setsockopt(table->descriptor(), SOL_SOCKET, SO_RCVBUF, &least, sizeof(least)) == 0);
  for (uint32_t number = 1; number <= 50; number++)
    ends.send("in", datagram(source(family, number), group(family, 1)));
  CHECK(table->set(entry(family, 50, 1, kIn, {kOut1})).ok());
  CHECK((ends.counts(family) == Counts{0, 0, 0, 0}));
  table->drain();
  ends.send("in", datagram(source(family, 51), group(family, 1)));
  CHECK(table->set(entry(family, 51, 1, kIn, {kOut1})).ok());
  CHECK((ends.counts(family) == Counts{1, 0, 0, 0}));
}

}  // namespace

int main() {
  return run_on_one_processor([](Ends& ends) {
    for (const Family family : {Family::ipv4, Family::ipv6}) {
      echoes_to_a_listed_input(family, ends);
      redirects_by_a_reused_slot(family, ends);
      lends_interfaces_of_any_group(family, ends);
    }
    forwards_one_source_from_two_inputs_by_two_tables(ends);
    forwards_static_entries_while_any_table_is_owned(ends);
    drops_first_packets_when_nobody_reads(ends);
  });
}
