import type { RateLimit } from '@mcfleet/proto/mcfleet/v1/relay';
import type { Violations } from './violations.ts';

/** What the packet path meters exactly to one percent (native/src/forwarder/rate_limiter.cc). */
const MAX_PACKETS_PER_SECOND = 10_000_000;
const MIN_BITS_PER_SECOND = 1_000n;
const MAX_BITS_PER_SECOND = 1_000_000_000_000n;
const MAX_BURST_PACKETS = 1_000_000;

/** The rates of a relay. */
export function validateRateLimit(limit: RateLimit, path: string, violations: Violations): void {
  const { packetsPerSecond, bitsPerSecond, burstPackets } = limit;
  if (packetsPerSecond === undefined && bitsPerSecond === undefined) {
    violations.add(path, 'limits nothing: give packets_per_second, bits_per_second, or both');
  }
  if (packetsPerSecond !== undefined && (packetsPerSecond < 1 || packetsPerSecond > MAX_PACKETS_PER_SECOND)) {
    violations.add(
      `${path}.packets_per_second`,
      `${packetsPerSecond} is not a limit: it must be 1 to ${MAX_PACKETS_PER_SECOND}`,
    );
  }
  if (bitsPerSecond !== undefined && (bitsPerSecond < MIN_BITS_PER_SECOND || bitsPerSecond > MAX_BITS_PER_SECOND)) {
    violations.add(
      `${path}.bits_per_second`,
      `${bitsPerSecond} is not a limit: it must be ${MIN_BITS_PER_SECOND} to ${MAX_BITS_PER_SECOND}`,
    );
  }
  if (burstPackets !== undefined && (burstPackets < 1 || burstPackets > MAX_BURST_PACKETS)) {
    violations.add(`${path}.burst_packets`, `${burstPackets} is not a burst: it must be 1 to ${MAX_BURST_PACKETS}`);
  }
}
