import { BlockList, isIP } from 'node:net';

export type AddressKind = 'multicast' | 'unicast';

export interface ClassifiedAddress {
  readonly family: 4 | 6;
  readonly kind: AddressKind;
}

const MULTICAST = new BlockList();
MULTICAST.addSubnet('224.0.0.0', 4, 'ipv4');
MULTICAST.addSubnet('ff00::', 8, 'ipv6');

/** What no packet that is to be relayed carries, as destination or as source. */
const UNUSABLE = new BlockList();
UNUSABLE.addSubnet('0.0.0.0', 8, 'ipv4');
UNUSABLE.addSubnet('240.0.0.0', 4, 'ipv4');
UNUSABLE.addAddress('::', 'ipv6');

/** RFC 4291, 2.5.5: IPv4 addresses written as IPv6, which never appear in a packet's header. */
const IPV4_IN_IPV6 = new BlockList();
IPV4_IN_IPV6.addSubnet('::ffff:0:0', 96, 'ipv6');

/**
 * Says what kind of address a text is.
 *
 * @returns the reason, for people, if it is none that can be relayed to or from
 */
export function classifyAddress(text: string): ClassifiedAddress | string {
  const family = isIP(text);
  if (family === 4) {
    if (UNUSABLE.check(text, 'ipv4')) return `'${text}' is reserved and belongs to no host and no group`;
    return { family, kind: MULTICAST.check(text, 'ipv4') ? 'multicast' : 'unicast' };
  }
  if (family === 6) {
    if (text.includes('%')) return `'${text}' has a zone; name the interface instead`;
    // BlockList holds an IPv4 rule against mapped addresses as well, so these come first.
    if (IPV4_IN_IPV6.check(text, 'ipv6')) return `'${text}' is an IPv4 address in IPv6 clothes; write it as IPv4`;
    if (UNUSABLE.check(text, 'ipv6')) return `'${text}' belongs to no host and no group`;
    return { family, kind: MULTICAST.check(text, 'ipv6') ? 'multicast' : 'unicast' };
  }
  return `'${text}' is not an IP address`;
}
