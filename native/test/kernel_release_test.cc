// Which kernel can do what is told by its release where nothing else tells.
#include "base/kernel_release.h"

#include "check.h"

using namespace mcfleet;

int main() {
  CHECK(is_since("6.18.44-fc", 6, 2));
  CHECK(is_since("6.2.0", 6, 2));
  CHECK(is_since("7.0", 6, 9));
  CHECK(!is_since("6.1.99-generic", 6, 2));
  CHECK(!is_since("5.15.0", 6, 2));
  CHECK(!is_since("6.8.0-31-generic", 6, 9));
  CHECK(!is_since("unknown", 6, 2));
  CHECK(kernel_is_since(2, 6));
  CHECK(!kernel_is_since(1000, 0));
}
