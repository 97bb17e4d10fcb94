import { Backoff } from '@mcfleet/common/backoff';
import type { Clock, Timer } from '@mcfleet/common/clock';
import { type Address, formatAddress } from '@mcfleet/common/listen';
import type { Logger } from '@mcfleet/common/log';
import type { Welcome } from '@mcfleet/proto/mcfleet/v1/agent_service';
import { Connection, type SessionHandler } from './connection.ts';
import { INITIAL_STATE, type SessionEvent, type SessionState, transition } from './session-state.ts';

const BACKOFF_INITIAL_MS = 500;
const BACKOFF_MAX_MS = 30_000;

export interface ControllerSessionOptions {
  /** At least one; tried in turn. */
  readonly controllers: readonly Address[];
  readonly handler: SessionHandler;
  readonly clock: Clock;
  readonly log: Logger;
  readonly random?: () => number;
}

/** Keeps a session to one of the controllers. Its states: see SessionState. */
export class ControllerSession {
  readonly #options: ControllerSessionOptions;
  readonly #backoff: Backoff;
  #state: SessionState = INITIAL_STATE;
  #connection: Connection | undefined;
  #timer: Timer | undefined;
  /** By controller. */
  readonly #lastFailures = new Map<string, string>();

  constructor(options: ControllerSessionOptions) {
    this.#options = options;
    this.#backoff = new Backoff({
      initialMs: BACKOFF_INITIAL_MS,
      maxMs: BACKOFF_MAX_MS,
      ...(options.random === undefined ? {} : { random: options.random }),
    });
  }

  get state(): SessionState {
    return this.#state;
  }

  start(): void {
    this.#dispatch({ event: 'retry' });
  }

  /** Says Goodbye and ends. */
  async stop(reason: string): Promise<void> {
    const connection = this.#connection;
    this.#timer?.clear();
    this.#dispatch({ event: 'stop' });
    await connection?.goodbye(reason);
  }

  /** The host's health changed: the controller shall know before the next heartbeat is due. */
  reportHealth(): void {
    this.#connection?.outbox.addHeartbeat();
  }

  reportInventory(): void {
    this.#connection?.outbox.addInventory();
  }

  reportRelays(uids: Iterable<string>): void {
    this.#connection?.outbox.addReports(uids);
  }

  #dispatch(event: SessionEvent): void {
    const { to, effects } = transition(this.#state, event, this.#options.controllers.length);
    this.#state = to;
    for (const effect of effects) {
      switch (effect.effect) {
        case 'open':
          this.#open(effect.controller);
          break;
        case 'wait': {
          if (effect.startOver) this.#backoff.reset();
          const ms = Math.max(effect.atLeastMs, this.#backoff.next());
          this.#timer = this.#options.clock.setTimeout(() => this.#dispatch({ event: 'retry' }), ms);
          break;
        }
      }
    }
  }

  #open(controller: number): void {
    const { controllers, handler, clock, log } = this.#options;
    const address = controllers[controller];
    if (address === undefined) throw new Error(`there is no controller ${controller}`);
    const name = formatAddress(address);
    const onWelcome = (welcome: Welcome): void => {
      this.#lastFailures.delete(name);
      log.info(
        { controller: name, session: welcome.sessionId, sync: welcome.sync, term: welcome.term },
        'session is open',
      );
      this.#dispatch({ event: 'welcome', sessionId: welcome.sessionId });
    };
    const connection = new Connection({ address, handler, clock, log, onWelcome });
    this.#connection = connection;
    void connection.run().then(({ error, retryDelayMs }) => {
      if (this.#state.state === 'stopped') return;
      this.#connection = undefined;
      this.#logEnd(name, error?.reason, error?.message);
      this.#dispatch({ event: 'ended', error, retryDelayMs });
    });
  }

  /** Once per kind of failure: a controller that is away for a day is one line, not thousands. */
  #logEnd(controller: string, reason: string | undefined, detail: string | undefined): void {
    const { log } = this.#options;
    const fields = { controller, reason, detail };
    if (this.#state.state === 'streaming') log.warn(fields, 'the session ended; forwarding goes on, connecting again');
    else if (this.#lastFailures.get(controller) === reason) log.debug(fields, 'still no session');
    else log.warn(fields, 'cannot open a session; forwarding goes on, trying again');
    this.#lastFailures.set(controller, reason ?? '');
  }
}
