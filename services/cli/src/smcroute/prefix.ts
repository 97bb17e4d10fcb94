import { addressKind, addressOf, type IpAddress, isLoopback, parseAddress } from '@mcfleet/common/address';

/** An address, or the addresses that begin with the same bits. */
export interface Prefix {
  readonly family: 4 | 6;
  /** Of the address as it was written, its last bits too. */
  readonly value: bigint;
  /** Bits that count: 1 to 32 or 128. */
  readonly length: number;
}

/**
 * Reads ADDRESS or ADDRESS/LEN as smcroute does: what is after the digits of LEN does not count, and a LEN of 0 or without digits is no
 * LEN. What is wrong is told as text.
 */
export function parsePrefix(text: string): Prefix | string {
  const [host = '', given] = text.split('/', 2);
  const address = parseAddress(host);
  if (address === undefined) return 'is not an address';
  const bits = address.bytes.length * 8;
  const length = Number.parseInt(given ?? '', 10) || bits;
  if (length < 0 || length > bits) return `has a prefix length that is not 0 to ${bits}`;
  return { family: address.family, value: toBigInt(address.bytes), length };
}

/** How many addresses there are. */
export function sizeOf({ length, family }: Prefix): bigint {
  return 1n << BigInt(bitsOf(family) - length);
}

/** Whether it is one address. */
export function isHost({ length, family }: Prefix): boolean {
  return length === bitsOf(family);
}

/** Whether every address of `inner` is one of `outer`. */
export function contains(outer: Prefix, inner: Prefix): boolean {
  return outer.family === inner.family && outer.length <= inner.length && first(outer) === first(inner, outer.length);
}

/** Its addresses, in order. The caller has looked at how many there are. */
export function* addressesOf(prefix: Prefix): Generator<IpAddress> {
  const from = first(prefix);
  for (let i = 0n; i < sizeOf(prefix); i++) yield addressOf(toBytes(from + i, bitsOf(prefix.family) / 8));
}

/** The one address of a host's prefix. */
export function hostPrefix({ family, bytes }: IpAddress): Prefix {
  return { family, value: toBigInt(bytes), length: bytes.length * 8 };
}

/** Whether packets can come from an address: it is one of a host, on a network. */
export function canSend(address: IpAddress): boolean {
  return parseAddress(address.text) !== undefined && addressKind(address) === 'unicast' && !isLoopback(address);
}

/** "10.0.0.0/8", and "10.0.0.1" of one address. */
export function prefixText(prefix: Prefix): string {
  const { text } = addressOf(toBytes(prefix.value, bitsOf(prefix.family) / 8));
  return isHost(prefix) ? text : `${text}/${prefix.length}`;
}

function bitsOf(family: 4 | 6): number {
  return family === 4 ? 32 : 128;
}

/** The address with all but the first bits zero. */
function first({ family, value, length }: Prefix, bits = length): bigint {
  const rest = BigInt(bitsOf(family) - bits);
  return (value >> rest) << rest;
}

function toBigInt(bytes: Uint8Array): bigint {
  return bytes.reduce((value, byte) => (value << 8n) | BigInt(byte), 0n);
}

function toBytes(value: bigint, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => Number((value >> BigInt(8 * (length - 1 - i))) & 0xffn));
}
