import { isIPv4, isIPv6 } from 'node:net';

/** An IP address that was read from text. */
export interface IpAddress {
  readonly family: 4 | 6;
  /** 4 or 16 bytes, network order. */
  readonly bytes: Uint8Array;
  /** The one way to write it (RFC 5952 for IPv6), so that equal addresses have equal text. */
  readonly text: string;
}

/** What an address is good for. `reserved` covers everything that no packet can be sent to. */
export type AddressKind = 'multicast' | 'unicast' | 'reserved';

/**
 * Reads an address strictly: no leading zeros, no zone, no prefix length, no IPv4-mapped IPv6 (RFC 4291, section 2.5.5.2: the
 * same address in two families would make two relays of one). Returns undefined for anything else.
 */
export function parseAddress(text: string): IpAddress | undefined {
  if (isIPv4(text)) {
    return addressOf(Uint8Array.from(text.split('.'), Number));
  }
  if (!isIPv6(text) || text.includes('%')) return undefined;
  const bytes = ipv6Bytes(text);
  const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  return mapped ? undefined : addressOf(bytes);
}

/** The address of 4 or 16 bytes, network order. */
export function addressOf(bytes: Uint8Array): IpAddress {
  return bytes.length === 4
    ? { family: 4, bytes, text: Array.from(bytes).join('.') }
    : { family: 6, bytes, text: formatIpv6(bytes) };
}

/** Whether packets can be sent to an address, and to one host or to a group. */
export function addressKind(address: IpAddress): AddressKind {
  const [first = 0, second = 0] = address.bytes;
  if (address.family === 4) {
    // RFC 1122, section 3.2.1.3: 0/8 is "this network". RFC 1112, section 4: 240/4 is reserved and holds the broadcast address.
    if (first === 0 || first >= 240) return 'reserved';
    return first >= 224 ? 'multicast' : 'unicast';
  }
  // RFC 4291, section 2.7: scope 0 is reserved, and scope 1 never leaves its interface.
  if (first === 0xff) return (second & 0x0f) <= 1 ? 'reserved' : 'multicast';
  return address.bytes.every((byte) => byte === 0) ? 'reserved' : 'unicast';
}

/** Whether an address never leaves its host: 127.0.0.0/8 (RFC 1122, section 3.2.1.3) and ::1. */
export function isLoopback({ family, bytes }: IpAddress): boolean {
  if (family === 4) return bytes[0] === 127;
  return bytes[15] === 1 && bytes.subarray(0, 15).every((byte) => byte === 0);
}

/**
 * Whether an address is a PTP group (IEEE 1588-2019, annexes C and D): 224.0.1.129 to .132 and ff0x::181, and for the delay of a link
 * 224.0.0.107 and ff02::6b.
 */
export function isPtpGroup({ family, bytes }: IpAddress): boolean {
  const last = bytes[family === 4 ? 3 : 15] ?? 0;
  if (family === 4) {
    if (bytes[0] !== 224 || bytes[1] !== 0) return false;
    return bytes[2] === 1 ? last >= 129 && last <= 132 : bytes[2] === 0 && last === 107;
  }
  if (bytes[0] !== 0xff || !bytes.subarray(2, 14).every((byte) => byte === 0)) return false;
  const scope = bytes[1] ?? 0;
  return (scope < 0x10 && bytes[14] === 0x01 && last === 0x81) || (scope === 0x02 && bytes[14] === 0 && last === 0x6b);
}

/**
 * Whether the kernel never routes a group: 224.0.0.0/24 (`ipv4_is_local_multicast`), and IPv6 interface-local and link-local
 * scope.
 */
export function isUnroutableGroup({ family, bytes }: IpAddress): boolean {
  if (family === 4) return bytes[0] === 224 && bytes[1] === 0 && bytes[2] === 0;
  return bytes[0] === 0xff && ((bytes[1] ?? 0) & 0x0f) <= 2;
}

function ipv6Bytes(text: string): Uint8Array {
  const bytes = new Uint8Array(16);
  const [head = '', tail] = text.split('::');
  const after = tail === undefined ? [] : groupBytes(tail);
  bytes.set(groupBytes(head), 0);
  bytes.set(after, 16 - after.length);
  return bytes;
}

function groupBytes(text: string): number[] {
  if (text === '') return [];
  return text.split(':').flatMap((group) => {
    if (group.includes('.')) return group.split('.').map(Number);
    const value = Number.parseInt(group, 16);
    return [value >> 8, value & 0xff];
  });
}

function formatIpv6(bytes: Uint8Array): string {
  const groups = Array.from({ length: 8 }, (_, i) => ((bytes[2 * i] ?? 0) << 8) | (bytes[2 * i + 1] ?? 0));
  let start = -1;
  let length = 1; // RFC 5952, section 4.2.2: one zero group alone is not shortened.
  for (let i = 0; i < 8; i++) {
    let run = 0;
    while (i + run < 8 && groups[i + run] === 0) run++;
    if (run > length) [start, length] = [i, run];
  }
  const hex = (part: number[]): string => part.map((group) => group.toString(16)).join(':');
  return start < 0 ? hex(groups) : `${hex(groups.slice(0, start))}::${hex(groups.slice(start + length))}`;
}
