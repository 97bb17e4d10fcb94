import { threeDigits } from './statistics.ts';

/** Quantiles of a latency in microseconds. */
export interface Quantiles {
  readonly p50_us: number;
  readonly p99_us: number;
  readonly p999_us: number;
}

/**
 * What adds less than this is not divided by: the ratio would tell how the path without a relay varies. Its median at 10,000 packets per
 * second was 2.43 to 2.59 us in four runs of `--quick`; this is three times the difference.
 */
export const LEAST_DIVISOR_US = 0.5;

/**
 * By how much a relay moves each quantile, compared with the path without it. That is not the quantile of the differences, which nobody can
 * measure: a packet cannot take both ways. It is the same where the path without a relay hardly varies beside what is added. If that path
 * seems slower than it is, all relays seem to add less by the same time: a ratio of 1 stays, and every other one moves away from 1.
 */
export function addedLatency(total: Quantiles, withoutRelay: Quantiles): Quantiles {
  return {
    p50_us: threeDigits(total.p50_us - withoutRelay.p50_us),
    p99_us: threeDigits(total.p99_us - withoutRelay.p99_us),
    p999_us: threeDigits(total.p999_us - withoutRelay.p999_us),
  };
}
