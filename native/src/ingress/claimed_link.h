#pragma once

#include <cstddef>
#include <cstdint>

#include "base/result.h"
#include "base/unique_fd.h"
#include "ingress/claim.h"

namespace mcfleet {

// The kernel side of the claims on one interface: a program at its ingress, and the table that it
// looks them up in. Gone when this is, or the process that has it.
class ClaimedLink final {
 public:
  // The table takes no more claims than this.
  static constexpr uint32_t kMaxClaims = 16384;

  // Without claims. `link_header`: bytes before the IP header.
  static Result<ClaimedLink> open(int ifindex, size_t link_header);

  Status put(const Claim& claim);
  Status erase(const Claim& claim);
  // False: its interface has gone, also if another one has its index now.
  [[nodiscard]] bool attached() const;

 private:
  ClaimedLink(UniqueFd claims, UniqueFd link)
      : claims_(std::move(claims)), link_(std::move(link)) {}

  UniqueFd claims_;
  UniqueFd link_;
};

}  // namespace mcfleet
