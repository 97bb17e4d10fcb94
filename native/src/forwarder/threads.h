#pragma once

#include <pthread.h>
#include <signal.h>

#include <thread>

#include "base/result.h"

namespace mcfleet {

// Starts a named thread that takes no signals: those belong to the main thread. `name` has at most
// 15 characters.
template <typename Run>
std::thread start_thread(const char* name, Run run) {
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(run);
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  pthread_setname_np(thread.native_handle(), name);
  return thread;
}

// Keeps a thread on one CPU. EINVAL: there is no such CPU, or the process may not use it.
Status run_on_cpu(std::thread& thread, unsigned cpu);

}  // namespace mcfleet
