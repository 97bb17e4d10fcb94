import type { Clock } from '@mcfleet/common/clock';

/** Resolves after `ms` milliseconds, or at once when `signal` is aborted. */
export function sleep(clock: Clock, ms: number, signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  const { promise, resolve } = Promise.withResolvers<void>();
  const timer = clock.setTimeout(resolve, ms);
  signal.addEventListener('abort', () => resolve(), { once: true, signal: whenSettled(promise) });
  return promise.finally(() => timer.clear());
}

/** Aborts when the promise is settled, so that listeners do not pile up on a signal that lives long. */
function whenSettled(promise: Promise<void>): AbortSignal {
  const settled = new AbortController();
  void promise.finally(() => settled.abort());
  return settled.signal;
}
