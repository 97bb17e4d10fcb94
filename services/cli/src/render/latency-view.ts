import type { LatencyHistogram } from '@mcfleet/proto/mcfleet/v1/relay';

/** The bucket of LatencyHistogram that has no upper bound. */
const LAST_BUCKET = 23;

/** "p50 below 8 us, p99 below 64 us (of 1200 packets)": the histogram tells no more. Empty if there is none. */
export function latencyText(latency: LatencyHistogram | undefined): string {
  const counts = latency?.counts ?? [];
  const total = counts.reduce((sum, count) => sum + count, 0n);
  if (total === 0n) return '';
  const below = (percent: bigint): string => {
    let seen = 0n;
    const bucket = counts.findIndex((count) => {
      seen += count;
      return seen * 100n >= total * percent;
    });
    return bucket === LAST_BUCKET ? 'above 4 s' : `below ${2 ** bucket} us`;
  };
  return `p50 ${below(50n)}, p99 ${below(99n)} (of ${total} packets)`;
}
