import type { Received } from '../../test/fleet/probe.ts';
import { grouped } from './table.ts';

/** What one receiver got of a stream. */
export interface Verdict {
  /** Every packet arrived, once, and as it was sent. */
  readonly complete: boolean;
  readonly line: string;
}

/** Judges by what the receiver saw alone: neither by the sender's word nor by the relays' counters. */
export function judge(receiver: string, sent: number, seen: Received): Verdict {
  const missing = sent - seen.received;
  const complete = missing === 0 && seen.duplicates === 0 && seen.corrupt === 0;
  const counts = [
    `${grouped(seen.received)} received`,
    `${grouped(missing)} lost`,
    `${grouped(seen.duplicates)} duplicates`,
    `${grouped(seen.corrupt)} corrupt`,
  ];
  const { p50, p99 } = seen.latency_us;
  const latency = p50 === null || p99 === null ? '' : `, latency ${p50.toFixed(0)} us (99 %: ${p99.toFixed(0)} us)`;
  return { complete, line: `${receiver}: ${counts.join(', ')}${latency}` };
}
