import type { Clock } from '@mcfleet/common/clock';

/** A data plane that answered for this long was well; its end is news. One that ended sooner will probably do it again. */
const WELL_AFTER_MS = 1_000;
const FIRST_DELAY_MS = 100;
const MAX_DELAY_MS = 5_000;
/** Nothing but a person can give it the capability, or other options. */
const PERSON_DELAY_MS = 30_000;

/** Why the host has no data plane. */
export interface DataplaneFault {
  /** Stable CamelCase code, the reason of the host's condition DataplaneHealthy. */
  readonly reason: string;
  /** What is so and what to do. */
  readonly message: string;
}

/** How a data plane ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  /** Why it did not start, as it said; empty if it said nothing. */
  readonly said: string;
}

/** The program's exit code without CAP_NET_RAW (EX_NOPERM of sysexits.h). */
const EXIT_MISSING_CAPABILITY = 77;
/** Where its options are wrong, or ask for what the host has not (EX_CONFIG of sysexits.h). */
const EXIT_OPTIONS: readonly (number | null)[] = [2, 78];

/**
 * When to start the next data plane: at once after one that had been well, then after 100 ms, 200 ms and so on up to 5 s, so that
 * one that cannot run does not eat the processor.
 */
export class RespawnPolicy {
  readonly #clock: Clock;
  #answeredAt = Number.POSITIVE_INFINITY;
  #quickExits = 0;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  started(): void {
    this.#answeredAt = Number.POSITIVE_INFINITY;
  }

  answered(): void {
    this.#answeredAt = this.#clock.monotonic();
  }

  /** @returns milliseconds to wait before the next start. */
  delayAfter(exit: Exit | undefined): number {
    const wasWell = this.#clock.monotonic() - this.#answeredAt >= WELL_AFTER_MS;
    this.#quickExits = wasWell ? 0 : this.#quickExits + 1;
    if (exit?.code === EXIT_MISSING_CAPABILITY || isRefusal(exit)) return PERSON_DELAY_MS;
    // The first quick exit too is answered at once: it may have been killed just after its start.
    return this.#quickExits < 2 ? 0 : Math.min(MAX_DELAY_MS, FIRST_DELAY_MS * 2 ** (this.#quickExits - 2));
  }
}

/** What a data plane's end means for the host. */
export function faultOfExit(exit: Exit): DataplaneFault {
  if (exit.code === EXIT_MISSING_CAPABILITY) {
    return {
      reason: 'MissingCapability',
      message:
        'the data plane may not open packet sockets: it lacks CAP_NET_RAW; run the agent as root, or give the service ' +
        'AmbientCapabilities=CAP_NET_RAW CAP_NET_ADMIN',
    };
  }
  const why = exit.said === '' ? '' : `: ${exit.said}`;
  if (isRefusal(exit)) {
    return {
      reason: 'OptionsRefused',
      message: `the data plane cannot be started with the options that the agent has for it${why}; start the agent with others`,
    };
  }
  const how = exit.signal === null ? `ended with exit code ${exit.code}` : `was killed by ${exit.signal}`;
  return { reason: 'DataplaneEnded', message: `the data plane ${how}${why}; another one is being started` };
}

function isRefusal(exit: Exit | undefined): boolean {
  return exit !== undefined && EXIT_OPTIONS.includes(exit.code);
}
