import { isIPv6 } from 'node:net';

/** Whether an address as text is a multicast group: 224.0.0.0/4 or ff00::/8. */
export function isMulticast(address: string): boolean {
  if (isIPv6(address)) return /^ff/i.test(address);
  const first = Number.parseInt(address, 10);
  return first >= 224 && first <= 239;
}

/** Whether a group stays on its link by definition: 224.0.0.0/24 (RFC 5771, section 4) or ffx2::/16 (RFC 4291, section 2.7). */
export function isLinkLocalGroup(group: string): boolean {
  return isIPv6(group) ? /^ff.[12]:/i.test(group) : group.startsWith('224.0.0.');
}

/** The address of "192.0.2.1/24". */
export function withoutPrefix(address: string): string {
  const slash = address.indexOf('/');
  return slash < 0 ? address : address.slice(0, slash);
}
