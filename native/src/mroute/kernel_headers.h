#pragma once

// The kernel's headers of multicast routing. They leave alone what netinet/in.h has defined before.
#include <netinet/in.h>
// Its own block, so that it stays behind.
#include <linux/mroute.h>
#include <linux/mroute6.h>
