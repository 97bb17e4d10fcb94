#include "forwarder/device_features.h"

#include <linux/ethtool.h>
#include <linux/net_tstamp.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <array>
#include <cstdint>
#include <cstring>
#include <string_view>
#include <vector>

#include "base/unique_fd.h"

namespace mcfleet {
namespace {

constexpr std::string_view kSegmentationFeature = "tx-udp-segmentation";

// A socket to ask through; `device` gets the interface's name. Not valid if there is none.
UniqueFd open_inquiry(int ifindex, ifreq& device) {
  if (if_indextoname(static_cast<unsigned>(ifindex), device.ifr_name) == nullptr) return {};
  return UniqueFd(socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
}

// SIOCETHTOOL: `command` begins with its number, and is answered in place.
bool ask_device(int fd, const ifreq& device, void* command) {
  ifreq request = device;
  request.ifr_data = static_cast<char*>(command);
  return ioctl(fd, SIOCETHTOOL, &request) == 0;
}

// How many features the kernel knows; 0 if it does not say.
uint32_t count_features(int fd, const ifreq& device) {
  std::array<uint8_t, sizeof(ethtool_sset_info) + sizeof(uint32_t)> answer{};
  ethtool_sset_info head{};
  head.cmd = ETHTOOL_GSSET_INFO;
  head.sset_mask = uint64_t{1} << ETH_SS_FEATURES;
  std::memcpy(answer.data(), &head, sizeof(head));
  if (!ask_device(fd, device, answer.data())) return 0;
  std::memcpy(&head, answer.data(), sizeof(head));
  uint32_t count = 0;
  std::memcpy(&count, answer.data() + sizeof(head), sizeof(count));
  return head.sset_mask != 0 ? count : 0;
}

// Number of the feature; `count` if there is none of that name.
uint32_t find_feature(int fd, const ifreq& device, uint32_t count, std::string_view name) {
  std::vector<uint8_t> answer(sizeof(ethtool_gstrings) + size_t{count} * ETH_GSTRING_LEN);
  ethtool_gstrings head{};
  head.cmd = ETHTOOL_GSTRINGS;
  head.string_set = ETH_SS_FEATURES;
  head.len = count;
  std::memcpy(answer.data(), &head, sizeof(head));
  if (!ask_device(fd, device, answer.data())) return count;
  for (uint32_t i = 0; i < count; i++) {
    const auto* text =
        reinterpret_cast<const char*>(answer.data() + sizeof(head)) + size_t{i} * ETH_GSTRING_LEN;
    if (std::string_view(text, strnlen(text, ETH_GSTRING_LEN)) == name) return i;
  }
  return count;
}

bool feature_is_on(int fd, const ifreq& device, uint32_t count, uint32_t feature) {
  const uint32_t blocks = (count + 31) / 32;
  std::vector<uint8_t> answer(sizeof(ethtool_gfeatures) +
                              blocks * sizeof(ethtool_get_features_block));
  ethtool_gfeatures head{};
  head.cmd = ETHTOOL_GFEATURES;
  head.size = blocks;
  std::memcpy(answer.data(), &head, sizeof(head));
  if (!ask_device(fd, device, answer.data())) return false;
  ethtool_get_features_block block{};
  std::memcpy(&block, answer.data() + sizeof(head) + feature / 32 * sizeof(block), sizeof(block));
  return (block.active >> feature % 32 & 1) != 0;
}

}  // namespace

bool device_segments(int ifindex) {
  ifreq device{};
  const UniqueFd fd = open_inquiry(ifindex, device);
  if (!fd.valid()) return false;
  const uint32_t count = count_features(fd.get(), device);
  const uint32_t feature = find_feature(fd.get(), device, count, kSegmentationFeature);
  return feature < count && feature_is_on(fd.get(), device, count, feature);
}

bool device_tells_what_leaves(int ifindex) {
  ifreq device{};
  const UniqueFd fd = open_inquiry(ifindex, device);
  ethtool_ts_info info{};
  info.cmd = ETHTOOL_GET_TS_INFO;
  return fd.valid() && ask_device(fd.get(), device, &info) &&
         (info.so_timestamping & SOF_TIMESTAMPING_TX_SOFTWARE) != 0;
}

}  // namespace mcfleet
