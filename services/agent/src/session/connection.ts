import { type ClientDuplexStream, type ClientOptions, type ServiceError, status } from '@grpc/grpc-js';
import type { Clock, Timer } from '@mcfleet/common/clock';
import { toMilliseconds } from '@mcfleet/common/duration';
import { FleetError } from '@mcfleet/common/error';
import { createClient } from '@mcfleet/common/grpc/client';
import type { Address } from '@mcfleet/common/listen';
import type { Logger } from '@mcfleet/common/log';
import { fromRpcStatus, fromServiceError } from '@mcfleet/common/status-details';
import type { Duration } from '@mcfleet/proto/google/protobuf/duration';
import {
  type AgentMessage,
  AgentServiceClient,
  type ConfigStatus,
  type ConfigUpdate,
  type ControllerMessage,
  type Hello,
  type SessionControl,
  type Welcome,
} from '@mcfleet/proto/mcfleet/v1/agent_service';
import type { CompleteUpdate } from '../cache/held-state.ts';
import { Outbox, type OutboxSource } from './outbox.ts';
import { type HostTelemetry, TelemetryDiff } from './telemetry.ts';
import { UpdateAssembler } from './update-assembler.ts';

/** From opening the stream to Welcome. */
const WELCOME_TIMEOUT_MS = 10_000;
const DEFAULT_HEARTBEAT_MS = 15_000;
const DEFAULT_TELEMETRY_MS = 1_000;
/** Whatever a controller asks for, it is not told more often. */
const MIN_INTERVAL_MS = 50;
/** For Goodbye to reach the controller. */
const GOODBYE_TIMEOUT_MS = 1_000;

const OPTIONS: ClientOptions = {
  // A stream is never retried by the library, and its retry buffer would call back before a message is sent.
  'grpc.enable_retries': 0,
  'grpc.per_rpc_retry_buffer_size': 0,
  // Snapshots come in one window instead of many round trips.
  'grpc-node.flow_control_window': 1024 * 1024,
  // Back-off is ours; a subchannel of the global pool keeps its own.
  'grpc.use_local_subchannel_pool': 1,
};

/** What the agent does for a session. */
export interface SessionHandler extends OutboxSource {
  readonly hello: () => Hello;
  /** @throws FleetError if this controller is refused. */
  readonly welcome: (welcome: Welcome) => void;
  /** Carries an update out. Never rejects: a refusal is an answer. */
  readonly update: (update: CompleteUpdate, clusterUid: string) => Promise<ConfigStatus>;
  /** The answer to an update that could not even be put together. */
  readonly refuse: (update: ConfigUpdate, error: FleetError) => ConfigStatus;
  /** All counters; undefined if the data plane does not answer. */
  readonly telemetry: () => Promise<HostTelemetry | undefined>;
}

export interface ConnectionOptions {
  readonly address: Address;
  readonly handler: SessionHandler;
  readonly clock: Clock;
  readonly log: Logger;
  readonly onWelcome: (welcome: Welcome) => void;
}

/** How a connection ended. */
export interface ConnectionEnd {
  /** Undefined if it was ended by `close`, or by the controller without an error. */
  readonly error: FleetError | undefined;
  /** How long the controller asked to stay away. */
  readonly retryDelayMs: number | undefined;
}

/** One stream to one controller, from Hello to its end. Messages are handled one after the other, in order. */
export class Connection {
  readonly #options: ConnectionOptions;
  readonly #client: AgentServiceClient;
  readonly #call: ClientDuplexStream<AgentMessage, ControllerMessage>;
  readonly #outbox: Outbox;
  readonly #assembler = new UpdateAssembler();
  readonly #telemetry = new TelemetryDiff();
  readonly #timers = new Map<string, Timer>();
  /** Resolved when the stream is over. A write whose callback never comes is not waited for any longer. */
  readonly #ended = Promise.withResolvers<void>();
  #over = false;
  /** Ended by this side on purpose: the CANCELLED that follows is no failure. */
  #closed = false;
  /** Goodbye was said: nothing may follow. */
  #leaving = false;
  #seq = 0n;
  #clusterUid: string | undefined;
  #failure: FleetError | undefined;
  #retryDelayMs: number | undefined;

  constructor(options: ConnectionOptions) {
    this.#options = options;
    this.#outbox = new Outbox(options.handler);
    this.#client = createClient(AgentServiceClient, options.address, { channelOptions: OPTIONS });
    this.#call = this.#client.connect();
    // The loop in `run` gets the error too, but not one that comes after it was left: unheard, that would end the process.
    this.#call.on('error', (error: ServiceError) => this.#fail(fromServiceError(error)));
  }

  /** What the session still has to tell. */
  get outbox(): Pick<Outbox, 'addHeartbeat' | 'addInventory' | 'addReports'> {
    return this.#outbox;
  }

  /** Greets, and serves the session until it ends. Never rejects. */
  async run(): Promise<ConnectionEnd> {
    this.#after('welcome', WELCOME_TIMEOUT_MS, () => {
      this.#cancel(
        new FleetError({
          code: status.DEADLINE_EXCEEDED,
          reason: 'NO_WELCOME',
          message: `the controller did not answer within ${WELCOME_TIMEOUT_MS} ms`,
        }),
      );
    });
    try {
      await this.#write({ $case: 'hello', value: this.#options.handler.hello() });
      for await (const message of this.#call) await this.#handle(message as ControllerMessage);
    } catch (thrown) {
      this.#fail(isServiceError(thrown) ? fromServiceError(thrown) : FleetError.from(thrown));
    }
    this.#over = true;
    this.#ended.resolve();
    for (const timer of this.#timers.values()) timer.clear();
    this.#call.cancel();
    this.#client.close();
    return { error: this.#failure, retryDelayMs: this.#retryDelayMs };
  }

  /** Ends the session on purpose, with a Goodbye if it was welcomed. */
  async goodbye(reason: string): Promise<void> {
    if (this.#clusterUid !== undefined && !this.#over) {
      this.#leaving = true;
      this.#after('goodbye', GOODBYE_TIMEOUT_MS, () => this.#cancel(undefined));
      await this.#write({ $case: 'goodbye', value: { reason } });
      this.#call.end();
    } else {
      this.#cancel(undefined);
    }
    await this.#ended.promise;
  }

  async #handle(message: ControllerMessage): Promise<void> {
    if (this.#leaving) return;
    switch (message.body?.$case) {
      case 'welcome':
        return this.#welcomed(message.body.value);
      case 'configUpdate':
        return this.#updated(message.body.value);
      case 'control':
        return this.#controlled(message.body.value);
      case undefined:
        this.#options.log.debug({ seq: message.seq }, 'a message of a kind this agent does not know; passed over');
    }
  }

  async #welcomed(welcome: Welcome): Promise<void> {
    if (this.#clusterUid !== undefined) return;
    if (welcome.protocol !== 1) {
      throw new FleetError({
        code: status.UNIMPLEMENTED,
        reason: 'PROTOCOL_UNSUPPORTED',
        message: `the controller speaks protocol ${welcome.protocol}, this agent 1; upgrade the older of the two`,
      });
    }
    try {
      this.#options.handler.welcome(welcome);
    } catch (thrown) {
      return this.#refuse(FleetError.from(thrown));
    }
    this.#clusterUid = welcome.clusterUid;
    this.#timers.get('welcome')?.clear();
    this.#options.onWelcome(welcome);
    void this.#send();
    this.#every('heartbeat', intervalMs(welcome.heartbeatInterval, DEFAULT_HEARTBEAT_MS), () =>
      this.#outbox.addHeartbeat(),
    );
    this.#every('telemetry', intervalMs(welcome.telemetryInterval, DEFAULT_TELEMETRY_MS), () => this.#readTelemetry());
    this.#outbox.addHeartbeat();
  }

  /** Tells this controller why it is refused, and ends the session. */
  async #refuse(error: FleetError): Promise<void> {
    this.#failure = error;
    this.#leaving = true;
    this.#after('goodbye', GOODBYE_TIMEOUT_MS, () => this.#cancel(error));
    await this.#write({ $case: 'goodbye', value: { reason: error.message } });
    this.#call.end();
  }

  async #updated(chunk: ConfigUpdate): Promise<void> {
    const clusterUid = this.#clusterUid;
    if (clusterUid === undefined) {
      throw new FleetError({
        code: status.FAILED_PRECONDITION,
        reason: 'NO_WELCOME',
        message: 'the controller sent an update before Welcome',
      });
    }
    let update: CompleteUpdate | undefined;
    try {
      update = this.#assembler.add(chunk);
    } catch (thrown) {
      this.#outbox.addStatus(this.#options.handler.refuse(chunk, FleetError.from(thrown)));
      return;
    }
    if (update !== undefined) this.#outbox.addStatus(await this.#options.handler.update(update, clusterUid));
  }

  #controlled(control: SessionControl): void {
    const error = control.reason === undefined ? undefined : fromRpcStatus(control.reason);
    if (control.retryDelay !== undefined) this.#retryDelayMs = toMilliseconds(control.retryDelay);
    if (error !== undefined) this.#failure = error;
    this.#options.log.info({ reason: error?.reason, retry_ms: this.#retryDelayMs }, 'the controller ends the session');
    this.#cancel(error);
  }

  async #readTelemetry(): Promise<void> {
    if (!this.#outbox.wantsTelemetry) return;
    const telemetry = await this.#options.handler.telemetry();
    if (telemetry === undefined || this.#over) return;
    const time = BigInt(Math.round(this.#options.clock.now())) * 1_000_000n;
    this.#outbox.addTelemetry(this.#telemetry.next(telemetry, time), time);
  }

  /** Sends what the outbox holds, one message at a time, until the stream is over. */
  async #send(): Promise<void> {
    while (!this.#over && !this.#leaving) {
      const body = this.#outbox.take();
      if (body === undefined) await Promise.race([this.#outbox.filled(), this.#ended.promise]);
      else await this.#write(body);
    }
  }

  /** Resolves when the message was handed to the transport, or the stream is over. */
  #write(body: NonNullable<AgentMessage['body']>): Promise<void> {
    const written = Promise.withResolvers<void>();
    this.#seq += 1n;
    this.#call.write({ seq: this.#seq, body }, () => written.resolve());
    return Promise.race([written.promise, this.#ended.promise]);
  }

  #every(name: string, ms: number, act: () => void | Promise<void>): void {
    this.#after(name, ms, () => {
      this.#every(name, ms, act);
      void act();
    });
  }

  #after(name: string, ms: number, act: () => void): void {
    if (!this.#over) this.#timers.set(name, this.#options.clock.setTimeout(act, ms));
  }

  #cancel(error: FleetError | undefined): void {
    if (error !== undefined) this.#fail(error);
    else this.#closed = true;
    this.#call.cancel();
  }

  /** The first failure is the one that counts; what follows is its echo. */
  #fail(error: FleetError): void {
    if (!this.#closed) this.#failure ??= error;
    this.#over = true;
    this.#ended.resolve();
  }
}

function intervalMs(duration: Duration | undefined, fallback: number): number {
  return duration === undefined ? fallback : Math.max(MIN_INTERVAL_MS, toMilliseconds(duration));
}

function isServiceError(thrown: unknown): thrown is ServiceError {
  return thrown instanceof Error && 'metadata' in thrown && 'details' in thrown;
}
