import type { DropCounter } from '@mcfleet/proto/mcfleet/v1/relay';

interface Seen {
  readonly packets: bigint;
  /** Undefined if it was not seen to rise. */
  readonly rose: Date | undefined;
}

/**
 * Tells when counters of lost packets last rose, from one reading to the next. What a data plane has lost before the first reading was
 * lost at a time that nobody knows. Bounded by the counters of one reading: those that are not in it are forgotten.
 */
export class LossWatch {
  #before: ReadonlyMap<string, Seen> | undefined;
  #now = new Map<string, Seen>();
  #time = new Date(0);
  /** Of the reading before. */
  #timeBefore = new Date(0);

  /** Begins a reading. */
  begin(time: Date): void {
    if (this.#time.getTime() > 0) this.#before = this.#now;
    this.#timeBefore = this.#time;
    this.#now = new Map();
    this.#time = time;
  }

  /**
   * When the counter last rose, this reading included.
   *
   * @param since since when it counts: one that was not there at the last reading, and counts longer, rose at a time that nobody knows.
   *   Without it, such a counter is taken for new.
   */
  lastRise(key: string, packets: bigint, since = this.#time): Date | undefined {
    const before = this.#before?.get(key) ?? { packets: since < this.#timeBefore ? packets : 0n, rose: undefined };
    // Fewer than before: it counts from zero again.
    const base = packets >= before.packets ? before.packets : 0n;
    const rose = this.#before !== undefined && packets > base ? this.#time : before.rose;
    this.#now.set(key, { packets, rose });
    return rose;
  }

  /** Counters by reason, each with when it last rose. `key` stands for all of them, `since` is as in lastRise(). */
  dated(key: string, drops: readonly DropCounter[], since?: Date): DropCounter[] {
    return drops.map((drop) => ({
      ...drop,
      lastDropTime: this.lastRise(`${key} ${drop.reason}`, drop.packets, since),
    }));
  }
}

/** Packets of all reasons. */
export function dropTotal(drops: readonly DropCounter[]): bigint {
  return drops.reduce((sum, { packets }) => sum + packets, 0n);
}
