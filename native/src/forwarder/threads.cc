#include "forwarder/threads.h"

#include <sched.h>

#include <string>

namespace mcfleet {
namespace {

// As taskset(1) writes them: "0-3,6".
std::string list_cpus(const cpu_set_t& cpus) {
  std::string text;
  for (unsigned cpu = 0; cpu < CPU_SETSIZE; cpu++) {
    if (!CPU_ISSET(cpu, &cpus)) continue;
    unsigned last = cpu;
    while (last + 1 < CPU_SETSIZE && CPU_ISSET(last + 1, &cpus)) last++;
    if (!text.empty()) text += ",";
    text += std::to_string(cpu);
    if (last > cpu) text.append("-").append(std::to_string(last));
    cpu = last;
  }
  return text;
}

}  // namespace

Status run_on_cpu(std::thread& thread, unsigned cpu) {
  cpu_set_t allowed;
  CPU_ZERO(&allowed);
  if (sched_getaffinity(0, sizeof(allowed), &allowed) != 0) {
    return Error::from_errno("read which CPUs may be used");
  }
  // What the kernel gives to a thread can be less than what it was asked for, so that this process
  // asks for nothing that it was not started with.
  if (cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &allowed)) {
    return Error{EINVAL, "run on CPU " + std::to_string(cpu) + ", where this process may use " +
                             list_cpus(allowed)};
  }
  cpu_set_t wanted;
  CPU_ZERO(&wanted);
  CPU_SET(cpu, &wanted);
  const int error = pthread_setaffinity_np(thread.native_handle(), sizeof(wanted), &wanted);
  if (error != 0) return Error{error, "run on CPU " + std::to_string(cpu)};
  return {};
}

}  // namespace mcfleet
