import { isIPv4, isIPv6 } from 'node:net';
import { status } from '@grpc/grpc-js';
import type { InterfaceFacts } from '@mcfleet/native';
import { isLinkLocalGroup, isMulticast, withoutPrefix } from './address.ts';
import type { Problem } from './problem.ts';

/**
 * The source address of copies that leave by an interface to `destination`. IPv4: its first address. IPv6, after RFC 6724: a
 * link-local one where the destination stays on the link, else a global one, where a unique local one counts as global (RFC 4193)
 * and is preferred for destinations of that kind only. Of several that are as good, the one that has more leading bits in common
 * with a unicast destination, or else the first. One of the wrong scope is better than none.
 */
export function sourceAddress(facts: InterfaceFacts, destination: string): string | Problem {
  const addresses = facts.addresses.map(withoutPrefix);
  if (isIPv4(destination)) return addresses.find((address) => isIPv4(address)) ?? noAddress(facts, 4);
  const [first, ...others] = addresses.filter((address) => isIPv6(address));
  if (first === undefined) return noAddress(facts, 6);
  const rank = rankFor(destination);
  return others.reduce((best, address) => (rank(address) > rank(best) ? address : best), first);
}

/** Whether copies from `source` to `destination` are meant to leave the link and cannot: routers do not pass them on (RFC 4291, 2.5.6). */
export function staysOnLink(source: string, destination: string): boolean {
  return isLinkLocal(source) && !isOnLink(destination);
}

/** How good a source address is; more is better. */
function rankFor(destination: string): (address: string) => number {
  const onLink = isOnLink(destination);
  const uniqueLocal = isUniqueLocal(destination);
  const prefix = isMulticast(destination) ? undefined : bits(destination);
  return (address) => {
    const scope = isLinkLocal(address) === onLink ? 4 : 0;
    const label = isUniqueLocal(address) === uniqueLocal ? 2 : 0;
    return scope + label + (prefix === undefined ? 0 : commonBits(prefix, bits(address)) / 129);
  };
}

function isOnLink(destination: string): boolean {
  return isMulticast(destination) ? isLinkLocalGroup(destination) : isLinkLocal(destination);
}

/** fe80::/10 (RFC 4291, section 2.5.6). */
function isLinkLocal(address: string): boolean {
  return /^fe[89ab]/i.test(address);
}

/** fc00::/7 (RFC 4193). */
function isUniqueLocal(address: string): boolean {
  return /^f[cd]/i.test(address);
}

/** An IPv6 address as 128 digits. */
function bits(address: string): string {
  const [head = '', tail] = address.split('::');
  const words = (part: string): string[] => (part === '' ? [] : part.split(':'));
  const [before, after] = [words(head), words(tail ?? '')];
  const zeros = Array.from({ length: 8 - before.length - after.length }, () => '0');
  return [...before, ...zeros, ...after]
    .map((word) => Number.parseInt(word, 16).toString(2).padStart(16, '0'))
    .join('');
}

function commonBits(a: string, b: string): number {
  let count = 0;
  while (count < a.length && a[count] === b[count]) count += 1;
  return count;
}

function noAddress(facts: InterfaceFacts, family: 4 | 6): Problem {
  return {
    code: status.FAILED_PRECONDITION,
    reason: 'NoInterfaceAddress',
    message:
      `output interface ${facts.name} has no IPv${family} address to send from; ` +
      "give it one, or set the output's source to KEEP or an address",
  };
}
