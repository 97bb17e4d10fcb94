import type { Logger } from './log.ts';

export interface ShutdownOptions {
  /** Milliseconds that `stop` may take. Default: 10,000. */
  readonly timeoutMs?: number;
  /** What ends the process. Default: SIGTERM, SIGINT and SIGHUP (its terminal is gone). */
  readonly signals?: readonly NodeJS.Signals[];
}

/**
 * Ends the process in order on a signal: runs `stop`, then exits with 0, or with 1 if it failed or took too long. A second signal
 * ends the process at once, with 130; not a SIGHUP, because a terminal that goes sends it by itself and through its shell.
 */
export function onShutdown(
  log: Logger,
  stop: () => Promise<void>,
  { timeoutMs = 10_000, signals = ['SIGTERM', 'SIGINT', 'SIGHUP'] }: ShutdownOptions = {},
): void {
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
    if (stopping && signal === 'SIGHUP') return;
    if (stopping) {
      log.warn({ signal }, 'ends at once');
      process.exit(130);
    }
    stopping = true;
    log.info({ signal }, 'stops');
    setTimeout(() => {
      log.error({ timeout_ms: timeoutMs }, 'did not stop in time; ends now');
      process.exit(1);
    }, timeoutMs);
    stop().then(
      () => {
        log.info('stopped');
        process.exit(0);
      },
      (err: unknown) => {
        log.error({ err }, 'did not stop cleanly');
        process.exit(1);
      },
    );
  };
  for (const signal of signals) process.on(signal, onSignal);
}
