import type { Duration } from '@mcfleet/proto/google/protobuf/duration';

const NANOS_PER_MS = 1_000_000;

/** Milliseconds, fractions included, as google.protobuf.Duration. */
export function toDuration(ms: number): Duration {
  const nanos = BigInt(Math.round(ms * NANOS_PER_MS));
  return { seconds: nanos / 1_000_000_000n, nanos: Number(nanos % 1_000_000_000n) };
}

/** A google.protobuf.Duration in milliseconds. */
export function toMilliseconds(duration: Duration): number {
  return Number(duration.seconds) * 1000 + duration.nanos / NANOS_PER_MS;
}

/** Nanoseconds since 1970 as a date, to the millisecond; undefined of 0, which stands for never. */
export function fromUnixNano(unixNano: bigint): Date | undefined {
  return unixNano === 0n ? undefined : new Date(Number(unixNano / 1_000_000n));
}
