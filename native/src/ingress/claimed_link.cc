#include "ingress/claimed_link.h"

#include "ingress/bpf.h"
#include "ingress/claim_program.h"

namespace mcfleet {

Result<ClaimedLink> ClaimedLink::open(int ifindex, size_t link_header) {
  Result<UniqueFd> claims = create_hash_map(sizeof(ClaimKey), sizeof(uint8_t), kMaxClaims);
  if (!claims.ok()) return claims.error();
  // The link keeps the program, and the program the map.
  const Result<UniqueFd> program =
      load_packet_program(claim_program(claims.value().get(), link_header), "mcfleet_ingress");
  if (!program.ok()) return program.error();
  Result<UniqueFd> link = attach_to_ingress(program.value().get(), ifindex);
  if (!link.ok()) return link.error();
  return ClaimedLink(std::move(claims.value()), std::move(link.value()));
}

Status ClaimedLink::put(const Claim& claim) {
  const ClaimKey key = ClaimKey::of(claim);
  constexpr uint8_t kPresent = 1;
  return put_map_entry(claims_.get(), &key, &kPresent);
}

Status ClaimedLink::erase(const Claim& claim) {
  const ClaimKey key = ClaimKey::of(claim);
  return erase_map_entry(claims_.get(), &key);
}

bool ClaimedLink::attached() const {
  return is_attached(link_.get());
}

}  // namespace mcfleet
