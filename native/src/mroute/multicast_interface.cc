#include "mroute/multicast_interface.h"

#include <linux/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "base/unique_fd.h"

namespace mcfleet::mroute {

namespace {

// Fills in name and flags. False, with errno, if there is no such interface.
bool look_up(int ifindex, ifreq& request) {
  const UniqueFd fd(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  request = {};
  request.ifr_ifindex = ifindex;
  return fd.valid() && ::ioctl(fd.get(), SIOCGIFNAME, &request) == 0 &&
         ::ioctl(fd.get(), SIOCGIFFLAGS, &request) == 0;
}

}  // namespace

std::string interface_text(int ifindex) {
  ifreq request;
  const std::string index = "index " + std::to_string(ifindex);
  return look_up(ifindex, request) ? std::string(request.ifr_name) + " (" + index + ")" : index;
}

Status check_multicast_interface(int ifindex) {
  ifreq request;
  if (!look_up(ifindex, request))
    return Error::from_errno("find interface " + interface_text(ifindex));
  if ((request.ifr_flags & IFF_MULTICAST) != 0) return {};
  return Error{EOPNOTSUPP, "use interface " + interface_text(ifindex) +
                               ": it has no multicast flag; set it with 'ip link set dev " +
                               request.ifr_name + " multicast on'"};
}

}  // namespace mcfleet::mroute
