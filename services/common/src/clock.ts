/** A pending call of a clock's `setTimeout`. */
export interface Timer {
  /** Calls it off. Harmless when it has been called or called off. */
  clear(): void;
}

/** Time, injected so that tests decide how it passes. */
export interface Clock {
  /** Unix time in milliseconds; may jump. For timestamps. */
  now(): number;
  /** Milliseconds since an arbitrary moment; never jumps. For intervals. */
  monotonic(): number;
  /** Calls `callback` once after `ms` milliseconds. A pending timer does not keep the process alive. */
  setTimeout(callback: () => void, ms: number): Timer;
}

/** The machine's clock. */
export const systemClock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  setTimeout: (callback, ms) => {
    const timer = setTimeout(callback, ms).unref();
    return { clear: () => clearTimeout(timer) };
  },
};
