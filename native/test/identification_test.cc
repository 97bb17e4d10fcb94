// What fragments are told apart by: no two workers give the same, and a loop ends in one.
#include "packet/identification.h"

#include <initializer_list>
#include <random>
#include <vector>

#include "check.h"

using namespace mcfleet;

namespace {

constexpr size_t kMostWorkers = 16;

std::vector<FragmentIdentifications> all(size_t workers) {
  std::vector<FragmentIdentifications> made;
  for (size_t i = 0; i < workers; i++) made.emplace_back(i, workers);
  return made;
}

void differ_between_workers() {
  for (size_t workers = 1; workers <= kMostWorkers; workers++) {
    std::vector<FragmentIdentifications> made = all(workers);
    std::vector<size_t> owner(65536, kMostWorkers);
    for (size_t i = 0; i < workers; i++) {
      for (uint32_t arrived = 0; arrived < 65536; arrived++) {
        const uint16_t id = made[i].ipv4(static_cast<uint16_t>(arrived));
        CHECK(owner[id] == kMostWorkers || owner[id] == i);
        owner[id] = i;
      }
    }
    for (size_t i = 0; workers > 1 && i < workers; i++) {
      for (int n = 0; n < 1000; n++)
        CHECK_EQ(made[i].ipv6() >> (32 - std::bit_width(workers - 1)), i);
    }
  }
}

void leave_those_of_one_worker() {
  FragmentIdentifications only(0, 1);
  for (uint32_t arrived = 1; arrived < 65536; arrived++) {
    CHECK_EQ(only.ipv4(static_cast<uint16_t>(arrived)), arrived);
  }
}

// None is given that the next relay would take for a missing one, and replace by another each time.
void never_look_missing() {
  for (size_t workers = 1; workers <= kMostWorkers; workers++) {
    std::vector<FragmentIdentifications> made = all(workers);
    for (FragmentIdentifications& ids : made) {
      for (int n = 0; n < 70000; n++) CHECK(ids.ipv4(0) >= kFirstIdentification);
      for (uint32_t arrived = kFirstIdentification; arrived < 65536; arrived++) {
        CHECK(ids.ipv4(static_cast<uint16_t>(arrived)) >= kFirstIdentification);
      }
    }
  }
}

// Two relays in a loop, of any number of workers: the second round gives what the first one gave.
void come_to_rest_in_a_loop() {
  for (const auto& [first_workers, second_workers] :
       {std::pair<size_t, size_t>{2, 2}, {2, 16}, {3, 1}, {16, 5}}) {
    std::vector<FragmentIdentifications> first = all(first_workers);
    std::vector<FragmentIdentifications> second = all(second_workers);
    for (uint32_t arrived = 0; arrived < 65536; arrived++) {
      FragmentIdentifications& there = first[arrived % first_workers];
      FragmentIdentifications& back = second[arrived / 7 % second_workers];
      const uint16_t once = back.ipv4(there.ipv4(static_cast<uint16_t>(arrived)));
      CHECK_EQ(back.ipv4(there.ipv4(once)), once);
    }
  }
}

void identifications_come_again_late() {
  Identifications identifications;
  std::mt19937 random(71);
  std::vector<uint64_t> given(65536);
  uint64_t round = 0;
  for (uint16_t before = 0; round < 4;) {
    const size_t count = 1 + random() % 128;
    const uint16_t first = identifications.take(count);
    if (first < before) round++;
    before = first;
    CHECK(first >= kFirstIdentification && first + count <= given.size());
    for (size_t i = first; i < first + count; i++) {
      CHECK(given[i] != round + 1);
      given[i] = round + 1;
    }
  }
}

}  // namespace

int main() {
  identifications_come_again_late();
  differ_between_workers();
  leave_those_of_one_worker();
  never_look_missing();
  come_to_rest_in_a_loop();
  return 0;
}
