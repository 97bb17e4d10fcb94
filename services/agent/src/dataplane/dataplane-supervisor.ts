import { status } from '@grpc/grpc-js';
import type { Clock } from '@mcfleet/common/clock';
import { FleetError } from '@mcfleet/common/error';
import type { Logger } from '@mcfleet/common/log';
import type { StatusResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import { sleep } from '../sleep.ts';
import { DataplaneClient } from './dataplane-client.ts';
import { isRunning, probeSocket, type StartedDataplane, startDataplane } from './dataplane-process.ts';
import { type DataplaneFault, type Exit, faultOfExit, RespawnPolicy } from './respawn.ts';

/** How often a data plane that was just started is looked for on its socket. */
const START_POLL_MS = 10;
/** A data plane that does not listen by then is killed and started again. */
const START_TIMEOUT_MS = 10_000;
/** A data plane that has closed its socket and does not end is killed after this. */
const END_TIMEOUT_MS = 5_000;
/** A process that dies closes its connections first; one that lives on after this is asked again. */
const CONNECTION_GRACE_MS = 500;
/** How often it is looked whether a data plane that is ending has gone. */
const END_POLL_MS = 5;
/** How often a foreign process on the socket is asked again. */
const FOREIGN_RETRY_MS = 2_000;
/** A data plane that is just ending or starting may accept a connection and not answer: for so long that is no news. */
const QUIET_MS = 1_000;
const QUIET_RETRY_MS = 20;

export interface DataplaneSupervisorOptions {
  readonly socketPath: string;
  /** See `startDataplane`. */
  readonly launcher: string;
  /** What a data plane is started with. */
  readonly arguments: readonly string[];
  readonly clock: Clock;
  readonly log: Logger;
  /** A data plane answers. `client` is good until `onDown`. */
  readonly onUp: (client: DataplaneClient, facts: StatusResponse) => void;
  readonly onDown: (fault: DataplaneFault) => void;
}

type State =
  | { readonly state: 'looking' }
  | { readonly state: 'starting'; readonly child: StartedDataplane }
  | { readonly state: 'running'; readonly pid: number }
  | { readonly state: 'stopped' };

/**
 * Sees to it that the host has a data plane.
 *
 *                      somebody accepts, Status answers (adopt)
 *     looking ──────────────────────────────────────────────────▶ running
 *      │  ▲  ▲                                                     │   ▲
 *      │  │  └──────────── connection lost, process ended ─────────┘   │
 *      │  └─ ended before it answered, after a delay ─┐                │
 *      └─ nobody accepts ──────────────────────────▶ starting ─────────┘
 *                                                          Status answers
 *
 * It never ends a data plane that answers: stopping the agent leaves it running, and the next agent adopts it.
 */
export class DataplaneSupervisor {
  readonly #options: DataplaneSupervisorOptions;
  readonly #stopping = new AbortController();
  readonly #respawn: RespawnPolicy;
  #state: State = { state: 'looking' };
  /** The data plane that this agent started last; it may have ended. */
  #child: StartedDataplane | undefined;
  /** Since when somebody accepts connections and does not answer. */
  #unansweredSince: number | undefined;
  #loop: Promise<void> = Promise.resolve();
  #lastFault = '';

  constructor(options: DataplaneSupervisorOptions) {
    this.#options = options;
    this.#respawn = new RespawnPolicy(options.clock);
  }

  /** Which data plane runs; undefined if none answers. */
  get pid(): number | undefined {
    return this.#state.state === 'running' ? this.#state.pid : undefined;
  }

  start(): void {
    this.#loop = this.#supervise();
  }

  /** Stops watching. The data plane goes on. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    await this.#loop;
    this.#state = { state: 'stopped' };
  }

  async #supervise(): Promise<void> {
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      this.#state = { state: 'looking' };
      const found = await probeSocket(this.#options.socketPath);
      if (found !== 'accepts') this.#unansweredSince = undefined;
      if (found === 'accepts') await this.#use();
      else if (found === 'nobody') await this.#startOne();
      else await this.#foreign(`${found.message}`);
    }
  }

  /** Starts a data plane and waits until it accepts connections. */
  async #startOne(): Promise<void> {
    const { clock, log, socketPath, launcher } = this.#options;
    const { signal } = this.#stopping;
    this.#respawn.started();
    const child = startDataplane(launcher, socketPath, this.#options.arguments);
    this.#child = child;
    this.#state = { state: 'starting', child };
    log.info({ dataplane_pid: child.pid, socket: socketPath }, 'started a data plane');
    let ended: Exit | Error | undefined;
    void child.ended.then((exit) => {
      ended = exit;
    });
    const deadline = clock.monotonic() + START_TIMEOUT_MS;
    while (!signal.aborted && ended === undefined && clock.monotonic() < deadline) {
      if ((await probeSocket(socketPath)) === 'accepts') return;
      await Promise.race([child.ended, sleep(clock, START_POLL_MS, signal)]);
    }
    if (signal.aborted) return;
    if (ended === undefined) {
      child.kill('SIGKILL');
      ended = await child.ended;
      this.#fault({
        reason: 'StartTimeout',
        message: `the data plane did not listen on ${socketPath} within ${START_TIMEOUT_MS} ms`,
      });
    } else if (ended instanceof Error) {
      const message = `cannot start ${launcher}: ${ended.message}; reinstall mcfleet, or set MCFLEET_LAUNCHER to its program`;
      this.#fault({ reason: 'SpawnFailed', message });
    } else {
      this.#fault(faultOfExit(ended));
    }
    await this.#waitBeforeNext(ended instanceof Error ? undefined : ended);
  }

  /** Uses whoever accepts connections, until it is lost. */
  async #use(): Promise<void> {
    const { signal } = this.#stopping;
    const client = new DataplaneClient(this.#options.socketPath);
    try {
      const facts = await client.status(signal);
      if (signal.aborted) return;
      this.#unansweredSince = undefined;
      this.#respawn.answered();
      this.#lastFault = '';
      this.#state = { state: 'running', pid: facts.pid };
      this.#options.log.info(
        {
          dataplane_pid: facts.pid,
          version: facts.version,
          relays: facts.relays,
          own_child: this.#child?.pid === facts.pid,
        },
        'the data plane answers',
      );
      this.#options.onUp(client, facts);
      await this.#untilLost(client, facts.pid);
      if (!signal.aborted) await this.#bury(facts.pid);
    } catch (thrown) {
      if (!signal.aborted) await this.#foreign(FleetError.from(thrown));
    } finally {
      client.close();
    }
  }

  /** Resolves when the data plane is gone or the agent stops. */
  #untilLost(client: DataplaneClient, pid: number): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    client.onLost(resolve);
    if (this.#child?.pid === pid) void this.#child.ended.then(() => resolve());
    this.#stopping.signal.addEventListener('abort', () => resolve(), { once: true });
    return promise;
  }

  /** Tells the end of a data plane, and waits until it is really gone: two of them would send every packet twice. */
  async #bury(pid: number): Promise<void> {
    const { clock, socketPath } = this.#options;
    const { signal } = this.#stopping;
    const child = this.#child?.pid === pid ? this.#child : undefined;
    const lostAt = clock.monotonic();
    let told = false;
    while (!signal.aborted && isRunning(pid)) {
      const waited = clock.monotonic() - lostAt;
      if (waited > CONNECTION_GRACE_MS) {
        if (!told) this.#fault(connectionLost(pid));
        told = true;
        if ((await probeSocket(socketPath)) === 'accepts') return;
      }
      if (waited > END_TIMEOUT_MS) child?.kill('SIGKILL');
      await sleep(clock, END_POLL_MS, signal);
    }
    if (signal.aborted) return;
    const exit = await child?.ended;
    const known = exit === undefined || exit instanceof Error ? undefined : exit;
    this.#fault(known === undefined ? adoptedEnded(pid) : faultOfExit(known));
    await this.#waitBeforeNext(known);
  }

  async #waitBeforeNext(exit: Exit | undefined): Promise<void> {
    const { clock, log } = this.#options;
    const delayMs = this.#respawn.delayAfter(exit);
    log.info({ delay_ms: delayMs }, 'another data plane will be started');
    await sleep(clock, delayMs, this.#stopping.signal);
  }

  /** Somebody is on the socket who does not answer as a data plane. */
  async #foreign(cause: string | FleetError): Promise<void> {
    const { clock, socketPath } = this.#options;
    this.#unansweredSince ??= clock.monotonic();
    const detail = typeof cause === 'string' ? cause : cause.message;
    const mayBeOurs = typeof cause !== 'string' && cause.code !== status.UNIMPLEMENTED;
    if (mayBeOurs && clock.monotonic() - this.#unansweredSince < QUIET_MS) {
      await sleep(clock, QUIET_RETRY_MS, this.#stopping.signal);
      return;
    }
    this.#fault({
      reason: 'SocketInUse',
      message:
        `${socketPath} cannot be used as the data plane's socket: whoever listens there does not answer as an mcfleet data plane ` +
        `(${detail}); stop it, or give another --dataplane-socket`,
    });
    await sleep(clock, FOREIGN_RETRY_MS, this.#stopping.signal);
  }

  #fault(fault: DataplaneFault): void {
    const text = `${fault.reason}: ${fault.message}`;
    if (text !== this.#lastFault) this.#options.log.error({ reason: fault.reason }, fault.message);
    this.#lastFault = text;
    this.#options.onDown(fault);
  }
}

function connectionLost(pid: number): DataplaneFault {
  return {
    reason: 'ConnectionLost',
    message: `the connection to the data plane (process ${pid}) was lost; looking for it`,
  };
}

function adoptedEnded(pid: number): DataplaneFault {
  return { reason: 'DataplaneEnded', message: `the data plane (process ${pid}) ended; another one is being started` };
}
