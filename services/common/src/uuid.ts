import { randomFillSync } from 'node:crypto';
import { type Clock, systemClock } from './clock.ts';

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

/** Whether a text is a UUID of any version, in either case. */
export function isUuid(text: string): boolean {
  return UUID.test(text);
}

/** What the last UUID of each clock held: one entry per clock, gone with it. */
const last = new WeakMap<Clock, { ms: number; count: number }>();

/**
 * A UUID of version 7 (RFC 9562, 5.7) with a counter in rand_a (6.2, method 1): those of one process and clock sort in the order
 * in which they were made, also within a millisecond and when the clock goes back.
 */
export function uuidv7(clock: Clock = systemClock): string {
  const { ms, count } = nextStamp(clock);
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(ms, 0, 6);
  bytes.writeUInt16BE(0x7000 | count, 6);
  randomFillSync(bytes, 8);
  bytes.writeUInt8(0x80 | (bytes.readUInt8(8) & 0x3f), 8);
  const hex = bytes.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

function nextStamp(clock: Clock): { readonly ms: number; readonly count: number } {
  const now = clock.now();
  const before = last.get(clock);
  let stamp = { ms: now, count: 0 };
  if (before !== undefined && now <= before.ms) {
    stamp = before.count < 0xfff ? { ms: before.ms, count: before.count + 1 } : { ms: before.ms + 1, count: 0 };
  }
  last.set(clock, stamp);
  return stamp;
}
