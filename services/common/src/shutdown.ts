import type { Logger } from './log.ts';

export interface ShutdownOptions {
  /** Milliseconds that `stop` may take. Default: 10,000. */
  readonly timeoutMs?: number;
}

/**
 * Ends the process in order on SIGTERM or SIGINT: runs `stop`, then exits with 0, or with 1 if it failed or took too long. A second
 * signal ends the process at once, with 130.
 */
export function onShutdown(log: Logger, stop: () => Promise<void>, { timeoutMs = 10_000 }: ShutdownOptions = {}): void {
  let stopping = false;
  const onSignal = (signal: NodeJS.Signals): void => {
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
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
}
