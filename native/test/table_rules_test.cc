// Rules of a namespace of their own, and 40 outputs from two inputs over two tables.
#include "mroute/table_rules.h"

#include <string>
#include <vector>

#include "check.h"
#include "eventually.h"
#include "mroute/table_routes.h"
#include "multicast_router.h"
#include "own_namespace.h"

using namespace mcfleet;
using namespace mcfleet::mroute;
using namespace router;

namespace {

using Rules = std::vector<TableRule>;

Rules rules(Family family) {
  auto found = dump_rules(family);
  CHECK(found.ok());
  return std::move(found.value());
}

void adds_and_removes(Family family) {
  // Others' are none of our business.
  if (family == Family::ipv4) ip_batch("mrule add iif in lookup 7\n");
  CHECK(rules(family).empty());
  CHECK(add_rule(family, {"in", 100}).ok());
  CHECK(add_rule(family, {"in2", 70000}).ok());
  // It waits for its interface.
  CHECK(add_rule(family, {"later", 100}).ok());
  CHECK_EQ(add_rule(family, {"in", 100}).error().code, EEXIST);
  CHECK((rules(family) == Rules{{"in", 100}, {"in2", 70000}, {"later", 100}}));
  CHECK_EQ(remove_rule(family, {"in", 7}).error().code, ENOENT);
  for (const TableRule& rule : rules(family)) CHECK(remove_rule(family, rule).ok());
  CHECK(rules(family).empty());
  CHECK_EQ(remove_rule(family, {"in", 100}).error().code, ENOENT);
  CHECK_EQ(add_rule(family, {"", 100}).error().code, EINVAL);
  CHECK_EQ(add_rule(family, {"a-name-of-16-chr", 100}).error().code, EINVAL);
  if (family == Family::ipv4) ip_batch("mrule del iif in lookup 7\n");
}

std::string output(size_t number) {
  return "o" + std::to_string(number);
}

// Each table takes one input and 20 of the 40 outputs; each output gets every packet.
void spreads_over_tables(Family family) {
  constexpr size_t kOutputs = 40;
  constexpr size_t kPackets = 100;
  std::vector<std::unique_ptr<TableRoutes>> tables;
  std::vector<std::unique_ptr<End>> ends;
  for (size_t number = 0; number < kOutputs; number++)
    ends.push_back(std::make_unique<End>(output(number)));
  const std::vector<std::string> inputs{"in", "in2"};
  for (size_t half = 0; half < inputs.size(); half++) {
    const auto id = static_cast<uint32_t>(100 + half);
    auto& table = tables.emplace_back(std::make_unique<TableRoutes>(open_table(family, id)));
    MulticastRoute route{{}, group(family, 1), index_of(inputs[half]), {}};
    for (size_t number = half; number < kOutputs; number += 2)
      route.outputs[index_of(output(number))] = 1;
    CHECK(table->set(route).ok());
    CHECK(add_rule(family, {inputs[half], id}).ok());
  }
  for (const std::string& input : inputs) {
    End in(input);
    for (size_t i = 0; i < kPackets; i++)
      in.tap.send(datagram(source(family, 1), group(family, 1)));
  }
  for (const auto& end : ends) {
    CHECK(eventually([&] {
      end->read();
      return end->count >= kPackets;
    }));
  }
  // Nothing came twice, nor to the other half.
  for (const auto& end : ends) {
    end->read();
    CHECK_EQ(end->count, kPackets);
  }
  for (const TableRule& rule : rules(family)) CHECK(remove_rule(family, rule).ok());
}

}  // namespace

int main() {
  if (!enter_own_namespace()) return kSkipped;
  use_one_processor();
  std::vector<std::string> names{"in", "in2"};
  for (size_t number = 0; number < 40; number++) names.push_back(output(number));
  add_links(names);
  for (const Family family : {Family::ipv4, Family::ipv6}) {
    adds_and_removes(family);
    spreads_over_tables(family);
  }
}
