export interface BackoffOptions {
  /** Upper bound of the first delay, in milliseconds. */
  readonly initialMs: number;
  /** Upper bound of every delay, in milliseconds. */
  readonly maxMs: number;
  /** Gives a number from 0 up to, not including, 1. Default: `Math.random`. */
  readonly random?: () => number;
}

/**
 * Exponential back-off with full jitter: the n-th delay is evenly spread between 0 and min(maxMs, initialMs · 2ⁿ), so that a
 * fleet that lost its controller does not come back in step.
 */
export class Backoff {
  readonly #initialMs: number;
  readonly #maxMs: number;
  readonly #random: () => number;
  #boundMs: number;

  constructor({ initialMs, maxMs, random = Math.random }: BackoffOptions) {
    this.#initialMs = initialMs;
    this.#maxMs = maxMs;
    this.#random = random;
    this.#boundMs = Math.min(initialMs, maxMs);
  }

  /** The next delay in milliseconds. */
  next(): number {
    const delay = this.#random() * this.#boundMs;
    this.#boundMs = Math.min(this.#boundMs * 2, this.#maxMs);
    return delay;
  }

  /** Starts again with the first delay. */
  reset(): void {
    this.#boundMs = Math.min(this.#initialMs, this.#maxMs);
  }
}
