/** Bytes of a slot. A packet of up to about 1900 bytes fills one, a longer one waits elsewhere. */
export const RING_SLOT_BYTES = 2048;

/** What the ring's time is told for. */
export const RING_PACKETS_PER_MS = 150;

/** For how long a receive ring holds that many packets while nobody reads it, unless said otherwise; milliseconds. */
export const DEFAULT_RING_MS = 250;

/** Size of a ring that holds RING_PACKETS_PER_MS for so many milliseconds. */
export function ringBytesFor(ms: number): number {
  return ms * RING_PACKETS_PER_MS * RING_SLOT_BYTES;
}
