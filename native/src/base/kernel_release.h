#pragma once

#include <sys/utsname.h>

#include <cstdio>

namespace mcfleet {

// Whether a release, as uname(2) gives it, is this version or a later one. False if it cannot be
// read.
inline bool is_since(const char* release, int major, int minor) {
  int release_major = 0;
  int release_minor = 0;
  if (std::sscanf(release, "%d.%d", &release_major, &release_minor) != 2) return false;
  return release_major > major || (release_major == major && release_minor >= minor);
}

// The same of this kernel.
inline bool kernel_is_since(int major, int minor) {
  utsname name{};
  return uname(&name) == 0 && is_since(name.release, major, minor);
}

}  // namespace mcfleet
