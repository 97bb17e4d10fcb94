import type { Clock, Timer } from '@mcfleet/common/clock';
import { refusal } from '../errors.ts';

/** The longest that a write waits for others to share its fsync, in milliseconds. */
export const MAX_WAIT_MS = 2;
/** The most writes that share one fsync. */
export const MAX_BATCH = 64;
/** The most writes that wait. */
export const MAX_WAITING = 10_000;

/** A write that waits. */
export interface QueuedWrite<Work> {
  readonly work: Work;
  resolve(result: unknown): void;
  reject(error: unknown): void;
}

/** Collects writes that come together, so that they share one transaction and one fsync. */
export class WriteQueue<Work> {
  readonly #clock: Clock;
  readonly #commit: (batch: readonly QueuedWrite<Work>[]) => void;
  readonly #waiting: QueuedWrite<Work>[] = [];
  #timer: Timer | undefined;

  /** @param commit settles every write of the batch it gets; does not throw */
  constructor(clock: Clock, commit: (batch: readonly QueuedWrite<Work>[]) => void) {
    this.#clock = clock;
    this.#commit = commit;
  }

  /** @throws FleetError WRITE_QUEUE_FULL */
  add(work: Work): Promise<unknown> {
    if (this.#waiting.length >= MAX_WAITING) {
      const error = refusal('WRITE_QUEUE_FULL', 'too many writes are waiting for the disk; try again', {
        retryDelayMs: 1000,
      });
      return Promise.reject(error);
    }
    const { promise, resolve, reject } = Promise.withResolvers<unknown>();
    this.#waiting.push({ work, resolve, reject });
    if (this.#waiting.length >= MAX_BATCH) this.#flush();
    else this.#timer ??= this.#clock.setTimeout(() => this.#flush(), MAX_WAIT_MS);
    return promise;
  }

  /** Commits everything that waits, now. */
  drain(): void {
    while (this.#waiting.length > 0) this.#flush();
  }

  #flush(): void {
    this.#timer?.clear();
    this.#timer = undefined;
    this.#commit(this.#waiting.splice(0, MAX_BATCH));
    if (this.#waiting.length > 0) this.#timer = this.#clock.setTimeout(() => this.#flush(), 0);
  }
}
