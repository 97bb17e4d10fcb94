import type { Clock, Timer } from './clock.ts';

interface Entry {
  readonly due: number;
  readonly callback: () => void;
}

/** A clock for tests: time stands still until `advance` is called. */
export class ManualClock implements Clock {
  #elapsed = 0;
  readonly #startUnixMs: number;
  readonly #timers = new Set<Entry>();

  /** @param startUnixMs what `now` says at first. Default: 2026-01-01T00:00:00Z. */
  constructor(startUnixMs: number = Date.UTC(2026, 0, 1)) {
    this.#startUnixMs = startUnixMs;
  }

  now(): number {
    return this.#startUnixMs + this.#elapsed;
  }

  monotonic(): number {
    return this.#elapsed;
  }

  setTimeout(callback: () => void, ms: number): Timer {
    const entry = { due: this.#elapsed + Math.max(0, ms), callback };
    this.#timers.add(entry);
    return { clear: () => this.#timers.delete(entry) };
  }

  /** How many timers are pending. */
  get pending(): number {
    return this.#timers.size;
  }

  /** Lets `ms` milliseconds pass. Timers are called in the order in which they are due, each at its own time. */
  advance(ms: number): void {
    const end = this.#elapsed + ms;
    for (let next = this.#nextDue(end); next !== undefined; next = this.#nextDue(end)) {
      this.#timers.delete(next);
      this.#elapsed = next.due;
      next.callback();
    }
    this.#elapsed = end;
  }

  #nextDue(end: number): Entry | undefined {
    let next: Entry | undefined;
    for (const timer of this.#timers) {
      if (timer.due <= end && (next === undefined || timer.due < next.due)) next = timer;
    }
    return next;
  }
}
