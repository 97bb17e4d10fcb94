import type { RelayCounters } from '@mcfleet/proto/mcfleet/v1/relay';

/** How long after the last such packet a loop is suspected. */
const SUSPECTED_MS = 60_000;
/** Reasons under which the data plane counts what it takes for a loop. */
const REASONS: ReadonlySet<string> = new Set(['duplicate', 'loop']);

interface Seen {
  readonly packets: bigint;
  /** Monotonic milliseconds; undefined if it never rose. */
  readonly roseAt: number | undefined;
}

/** Tells from the counters of relays which of them seem to be part of a loop. Bounded by the relays, because `retain` drops the others. */
export class LoopWatch {
  readonly #seen = new Map<string, Seen>();

  /** Takes in counters that were read at a monotonic time. Counters that a data plane already has when they are first read count. */
  isSuspected(uid: string, counters: RelayCounters, now: number): boolean {
    const packets = counters.drops.reduce((sum, drop) => (REASONS.has(drop.reason) ? sum + drop.packets : sum), 0n);
    const before = this.#seen.get(uid);
    // Fewer than before: another data plane, which counts from zero.
    const rose = packets > (before === undefined || packets < before.packets ? 0n : before.packets);
    const roseAt = rose ? now : before?.roseAt;
    this.#seen.set(uid, { packets, roseAt });
    return roseAt !== undefined && now - roseAt < SUSPECTED_MS;
  }

  /** Forgets relays that are not among `uids`. */
  retain(uids: { has(uid: string): boolean }): void {
    for (const uid of this.#seen.keys()) if (!uids.has(uid)) this.#seen.delete(uid);
  }
}
