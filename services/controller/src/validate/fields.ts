import { addressKind, type IpAddress, isPtpGroup, parseAddress } from '@mcfleet/common/address';
import { quote } from '@mcfleet/common/quote';
import type { Violations } from './violations.ts';

const HOW_ADDRESSES_LOOK =
  'write an IPv4 address without leading zeros, or an IPv6 address without zone, prefix length or IPv4-mapped form';
const GROUPS = 'groups are 224.0.0.0 to 239.255.255.255 and, in IPv6, ff00::/8 with a scope beyond the interface';

/** An interface name as the kernel takes it (net/core/dev.c, `dev_valid_name`; IFNAMSIZ is 16 with the final zero). */
export function validateInterface(name: string, path: string, violations: Violations): void {
  if (name === '') {
    violations.add(path, 'is missing: give the name of a network interface, for example "eth0"');
  } else if (Buffer.byteLength(name) > 15) {
    violations.add(path, `${quote(name)} is longer than 15 bytes, the most that Linux allows for an interface name`);
  } else if (name === '.' || name === '..' || !/^[^\p{Cc}\s/:]+$/u.test(name)) {
    violations.add(
      path,
      `${quote(name)} cannot be an interface name: "/", ":", white space, control characters, "." and ".." are not allowed`,
    );
  }
}

/** A UDP port that may be absent. */
export function validatePort(port: number | undefined, path: string, violations: Violations): void {
  if (port !== undefined && (port < 1 || port > 65535)) {
    violations.add(path, `${port} is not a UDP port: it must be 1 to 65535`);
  }
}

/**
 * An address that packets can be sent to, multicast or unicast; `what` says for people what it is, `allowPtp` whether it may be a
 * PTP group. Returns what is written, if it is an address at all: also one that is refused has a family.
 */
export function validateDestination(
  text: string,
  path: string,
  { what, allowPtp }: { readonly what: string; readonly allowPtp: boolean },
  violations: Violations,
): IpAddress | undefined {
  const address = parseAddress(text);
  if (address === undefined) {
    violations.add(path, `${quote(text)} is not ${what}: ${GROUPS}; ${HOW_ADDRESSES_LOOK}`);
  } else if (addressKind(address) === 'reserved') {
    violations.add(path, `${address.text} is not ${what}: no packet can be sent to it; ${GROUPS}`);
  } else if (isPtpGroup(address) && !allowPtp) {
    violations.add(
      path,
      `${address.text} is a PTP group (IEEE 1588): a relay breaks its timing, use a boundary clock; set allow_ptp if it shall be relayed all the same`,
    );
  }
  return address;
}

/** An address that packets can come from. `family` is the input's, if it is known. */
export function validateSource(
  text: string,
  path: string,
  family: 4 | 6 | undefined,
  violations: Violations,
): IpAddress | undefined {
  const address = parseAddress(text);
  if (address === undefined) {
    violations.add(path, `${quote(text)} is not an address: ${HOW_ADDRESSES_LOOK}`);
    return undefined;
  }
  if (addressKind(address) !== 'unicast') {
    violations.add(path, `${address.text} cannot be the source of a packet: a source is a unicast address`);
    return undefined;
  }
  if (family !== undefined && address.family !== family) {
    violations.add(path, `${address.text} is IPv${address.family}, but the input is IPv${family}`);
    return undefined;
  }
  return address;
}
