import type { Clock, Timer } from '@mcfleet/common/clock';

/** Hosts that are pushed to in one turn of the event loop, so that calls and heartbeats get their turns between them. */
const HOSTS_PER_TURN = 50;

export interface PushSchedulerOptions {
  readonly clock: Clock;
  readonly debounceMs: number;
  readonly maxDebounceMs: number;
  readonly push: (host: string) => void;
}

/** Collects hosts whose plan changed, so that a burst of writes becomes one update, and visits them in turn. */
export class PushScheduler {
  readonly #options: PushSchedulerOptions;
  /** In the order in which they became due. Bounded by the hosts there are. */
  readonly #waiting = new Set<string>();
  #timer: Timer | undefined;
  #firstAt = 0;
  #isDraining = false;

  constructor(options: PushSchedulerOptions) {
    this.#options = options;
  }

  add(hosts: Iterable<string>): void {
    const { clock, debounceMs, maxDebounceMs } = this.#options;
    if (this.#waiting.size === 0) this.#firstAt = clock.monotonic();
    for (const host of hosts) this.#waiting.add(host);
    if (this.#isDraining) return;
    const left = this.#firstAt + maxDebounceMs - clock.monotonic();
    this.#timer?.clear();
    this.#timer = clock.setTimeout(() => this.#drain(), Math.max(0, Math.min(debounceMs, left)));
  }

  stop(): void {
    this.#timer?.clear();
    this.#waiting.clear();
  }

  #drain(): void {
    let left = HOSTS_PER_TURN;
    for (const host of this.#waiting) {
      if (left-- === 0) break;
      this.#waiting.delete(host);
      this.#options.push(host);
    }
    this.#isDraining = this.#waiting.size > 0;
    if (this.#isDraining) this.#timer = this.#options.clock.setTimeout(() => this.#drain(), 0);
  }
}
