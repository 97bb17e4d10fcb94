import { Backoff } from '@mcfleet/common/backoff';
import type { Clock, Timer } from '@mcfleet/common/clock';
import { fromUnixNano, toDuration } from '@mcfleet/common/duration';

import { FleetError } from '@mcfleet/common/error';
import type { BidiStream } from '@mcfleet/common/grpc/handlers';
import type { Logger } from '@mcfleet/common/log';
import { stateHash } from '@mcfleet/common/state-hash';
import { fromRpcStatus, toRpcStatus } from '@mcfleet/common/status-details';
import {
  type AgentMessage,
  ApplyPhase,
  type ConfigStatus,
  type ConfigUpdate,
  type ControllerMessage,
  type Heartbeat,
  type Hello,
  type RelayResult,
  SyncMode,
  syncModeToJSON,
  type TelemetryBatch,
} from '@mcfleet/proto/mcfleet/v1/agent_service';
import { InstanceState } from '@mcfleet/proto/mcfleet/v1/relay';
import { refusal } from '../errors.ts';
import type { Fleet } from '../fleet/fleet.ts';
import { diffAssignments, type HeldRelay } from '../resolve/diff-assignments.ts';
import type { ResolvedAssignment } from '../resolve/resolve-relay.ts';
import { splitUpdate } from './chunks.ts';
import { Refusals } from './refusals.ts';
import { LEASE_HEARTBEATS, type SessionOptions } from './session-options.ts';
import { startSync } from './sync.ts';

/** After this many heartbeats in a row with another state hash the agent gets a snapshot. */
const MAX_MISMATCHES = 3;
/** Characters of what an agent says on leaving. */
const MAX_FAREWELL = 1000;
/** How long a session that ends waits for its last message to be taken. */
const LAST_WORD_MS = 1000;

/** An update that the agent has not answered. */
interface Flight {
  readonly nonce: bigint;
  readonly revision: bigint;
  /** What the agent holds when it has taken it. */
  readonly target: ReadonlyMap<string, ResolvedAssignment>;
  readonly targetHash: Buffer;
  readonly timer: Timer;
}

export interface SessionParts {
  readonly id: string;
  readonly host: string;
  readonly hello: Hello;
  readonly stream: BidiStream<AgentMessage, ControllerMessage>;
  readonly fleet: Fleet;
  readonly options: SessionOptions;
  readonly telemetryMs: number;
  readonly clock: Clock;
  readonly log: Logger;
}

/**
 * The session of one agent, from Welcome to its end.
 *
 *     welcomed ─ UP_TO_DATE ───────────────→ idle ──── plan changed ───→ in flight
 *        └────── DELTA, SNAPSHOT → in flight ──┴─ ConfigStatus ─ idle, or the next update if the plan changed meanwhile
 *
 * At most one update is in flight; what changes meanwhile is only marked, so that memory is bounded by the relays of the host.
 */
export class Session {
  readonly id: string;
  readonly host: string;
  readonly #parts: SessionParts;
  readonly #refusals: Refusals;
  readonly #rejections: Backoff;
  #farewell = '';
  readonly #over = Promise.withResolvers<void>();
  #isOver = false;
  #sentSeq = 0n;
  #receivedSeq = 1n;
  #nonce = 0n;
  #held: ReadonlyMap<string, HeldRelay> | undefined;
  #appliedRevision: bigint;
  #flight: Flight | undefined;
  #isDirty = false;
  #mismatches = 0;
  #lease: Timer | undefined;
  #retry: Timer | undefined;

  constructor(parts: SessionParts) {
    this.#parts = parts;
    this.id = parts.id;
    this.host = parts.host;
    this.#appliedRevision = parts.hello.appliedRevision;
    const { retryMs, maxRetryMs } = parts.options;
    this.#refusals = new Refusals({ initialMs: retryMs, maxMs: maxRetryMs });
    this.#rejections = new Backoff({ initialMs: retryMs, maxMs: maxRetryMs });
  }

  /** Why the agent said goodbye; empty if it did not. */
  get farewell(): string {
    return this.#farewell;
  }

  /** Serves the session until it ends; rejects if it ends with an error. `requests` continues after Hello. */
  async run(requests: AsyncIterator<AgentMessage>): Promise<void> {
    const serving = this.#serve(requests);
    try {
      await Promise.race([serving, this.#over.promise]);
    } finally {
      this.#isOver = true;
      for (const timer of [this.#lease, this.#retry, this.#flight?.timer]) timer?.clear();
      // If the session was ended from outside, what its reader says afterwards is only the echo of that.
      serving.catch((err: unknown) =>
        this.#parts.log.trace({ session: this.id, err }, 'reader of an ended session stopped'),
      );
    }
  }

  /** What the host shall run has changed. */
  planChanged(): void {
    this.#push();
  }

  /** Tells the agent why, and ends the session with that error. */
  end(error: FleetError): void {
    if (this.#isOver) return;
    this.#isOver = true;
    const retryDelay = error.retryDelayMs === undefined ? undefined : toDuration(error.retryDelayMs);
    const finish = (): void => this.#over.reject(error);
    const timer = this.#parts.clock.setTimeout(finish, LAST_WORD_MS);
    this.#send({ $case: 'control', value: { reason: toRpcStatus(error), retryDelay } })
      .finally(() => timer.clear())
      .then(finish, finish);
  }

  async #serve(requests: AsyncIterator<AgentMessage>): Promise<void> {
    await this.#welcome();
    for (;;) {
      const next = await requests.next();
      // Ended from outside: the error of that is the session's.
      if (this.#isOver) return this.#over.promise;
      if (next.done === true) return;
      if (!this.#receive(next.value)) return;
    }
  }

  async #welcome(): Promise<void> {
    const { hello, fleet, host, options, telemetryMs, log } = this.#parts;
    const { store } = fleet;
    const { mode, held } = startSync(hello, store, fleet.planOf(host).assignments);
    this.#held = held;
    for (const { uid, generation } of hello.known) fleet.noteHeld(host, uid, generation);
    fleet.noteUncounted(host);
    fleet.setHostFacts(host, {
      countersTime: undefined,
      appliedRevision: this.#appliedRevision,
      desiredRevision: mode === SyncMode.UP_TO_DATE ? this.#appliedRevision : store.revision,
      stateHash: hello.stateHash,
    });
    log.info(
      { session: this.id, host, sync: syncModeToJSON(mode), revision: `${hello.appliedRevision}` },
      'session opened',
    );
    this.#renewLease();
    await this.#send({
      $case: 'welcome',
      value: {
        sessionId: this.id,
        clusterUid: store.clusterUid,
        term: store.term,
        protocol: 1,
        sync: mode,
        heartbeatInterval: toDuration(options.heartbeatMs),
        leaseTtl: toDuration(options.heartbeatMs * LEASE_HEARTBEATS),
        telemetryInterval: toDuration(telemetryMs),
      },
    });
    this.#push();
  }

  /** Takes in a message. False if it was the last. */
  #receive({ seq, body }: AgentMessage): boolean {
    const { fleet, host } = this.#parts;
    if (seq !== this.#receivedSeq + 1n) {
      throw refusal(
        'SEQUENCE_BROKEN',
        `message ${seq} came after ${this.#receivedSeq}: each must be one higher than the one before`,
      );
    }
    this.#receivedSeq = seq;
    this.#renewLease();
    fleet.seeHost(host);
    switch (body?.$case) {
      case 'configStatus':
        this.#onConfigStatus(body.value);
        return true;
      case 'heartbeat':
        this.#onHeartbeat(body.value);
        return true;
      case 'inventory':
        fleet.setHostFacts(host, { interfaces: body.value.interfaces });
        this.#refusals.makeDue();
        this.#push();
        return true;
      case 'instanceReport':
        for (const result of body.value.results) this.#onResult(result);
        return true;
      case 'telemetry':
        this.#onTelemetry(body.value);
        return true;
      case 'goodbye':
        this.#farewell = body.value.reason.slice(0, MAX_FAREWELL);
        this.#parts.log.info({ session: this.id, host, reason: body.value.reason }, 'agent says goodbye');
        return false;
      case 'hello':
        throw refusal('HELLO_REQUIRED', 'Hello is the first message of a session and is sent once');
      default:
        this.#parts.log.debug({ session: this.id, seq: `${seq}` }, 'a message of an unknown kind was passed over');
        return true;
    }
  }

  #onConfigStatus(answer: ConfigStatus): void {
    for (const result of answer.results) this.#onResult(result);
    const flight = this.#flight;
    // An answer to an update that is no longer in flight says nothing about what the agent holds now.
    if (flight === undefined || flight.nonce !== answer.nonce) return;
    flight.timer.clear();
    this.#flight = undefined;
    if (answer.phase === ApplyPhase.REJECTED) {
      this.#onRejected(answer);
      return;
    }
    this.#held = flight.target;
    this.#appliedRevision = flight.revision;
    this.#rejections.reset();
    const { fleet, host } = this.#parts;
    fleet.setHostFacts(host, { appliedRevision: flight.revision, stateHash: answer.stateHash, otherCluster: '' });
    if (!flight.targetHash.equals(answer.stateHash)) {
      this.#parts.log.warn(
        { session: this.id, host, revision: `${flight.revision}` },
        'agent holds another state than it was sent',
      );
    }
    this.#noteRefusals(answer.results, flight.target);
    if (this.#isDirty) this.#push();
    else this.#scheduleRetry();
  }

  /** The whole update was refused: what the agent holds is unknown, so it gets everything, after a while. */
  #onRejected(answer: ConfigStatus): void {
    const error = answer.error === undefined ? undefined : fromRpcStatus(answer.error);
    this.#held = undefined;
    const delay = this.#rejections.next();
    const { log, host, clock } = this.#parts;
    log.warn(
      { session: this.id, host, reason: error?.reason, detail: error?.message, retry_ms: delay },
      'agent rejected an update',
    );
    this.#retry?.clear();
    this.#retry = clock.setTimeout(() => this.#push(), delay);
  }

  #noteRefusals(results: readonly RelayResult[], target: ReadonlyMap<string, ResolvedAssignment>): void {
    for (const { uid, generation, state, error } of results) {
      const assignment = target.get(uid);
      if (assignment === undefined || assignment.generation !== generation || state !== InstanceState.FAILED) continue;
      const code = error?.code ?? 0;
      this.#refusals.note(assignment, code, this.#parts.clock.monotonic());
      this.#parts.log.warn(
        { session: this.id, host: this.host, relay: assignment.name, detail: error?.message },
        'agent refused a relay',
      );
    }
  }

  #onResult(result: RelayResult): void {
    if (result.state !== InstanceState.FAILED) this.#refusals.clear(result.uid);
    this.#parts.fleet.noteResult(this.host, result);
  }

  #onTelemetry({ timeUnixNano, relays, inputs, outputs }: TelemetryBatch): void {
    if (inputs !== undefined) this.#parts.fleet.noteInputs(this.host, inputs.interfaces);
    if (outputs !== undefined) this.#parts.fleet.noteOutputs(this.host, outputs.interfaces);
    const time = new Date(Number(timeUnixNano / 1_000_000n));
    for (const { uid, counters } of relays) {
      if (counters === undefined) this.#parts.fleet.noteUncounted(this.host, uid);
      else this.#parts.fleet.noteCounters(this.host, uid, counters, time);
    }
  }

  #onHeartbeat(heartbeat: Heartbeat): void {
    const { fleet, host, log } = this.#parts;
    const { dataplaneHealthy, dataplaneReason, dataplaneMessage, storageMessage } = heartbeat;
    const health = { dataplaneHealthy, dataplaneReason, dataplaneMessage, storageMessage };
    const { stateHash, inputs, outputs, workers, options, conditions } = heartbeat;
    const path = { receiving: inputs, sending: outputs, workers, options, told: conditions };
    const countersTime = fromUnixNano(heartbeat.countersTimeUnixNano);
    fleet.setHostFacts(host, { health, stateHash, countersTime, ...path });
    // While an update is under way the agent may hold either state.
    if (this.#flight !== undefined || this.#held === undefined) return;
    if (hashOf(this.#held).equals(heartbeat.stateHash)) {
      this.#mismatches = 0;
      return;
    }
    this.#mismatches += 1;
    log.warn({ session: this.id, host, mismatches: this.#mismatches }, 'agent holds another state than it should');
    if (this.#mismatches < MAX_MISMATCHES) return;
    this.#mismatches = 0;
    this.#held = undefined;
    this.#push();
  }

  /** Sends what the host lacks, unless an update is in flight. */
  #push(): void {
    this.#isDirty = this.#flight !== undefined;
    if (this.#isDirty || this.#isOver) return;
    const { fleet, host, clock, options } = this.#parts;
    const desired = fleet.planOf(host).assignments;
    this.#refusals.retain(desired);
    const base = this.#held === undefined ? 0n : this.#appliedRevision;
    const { upserts, removedUids } = diffAssignments(base === 0n ? new Map() : (this.#held ?? new Map()), desired);
    const again = this.#refusals.takeDue(clock.monotonic()).filter((assignment) => !upserts.includes(assignment));
    if (base !== 0n && upserts.length + removedUids.length + again.length === 0) {
      this.#scheduleRetry();
      return;
    }
    this.#nonce += 1n;
    const timer = clock.setTimeout(() => {
      this.end(refusal('ACK_TIMEOUT', `the agent did not acknowledge an update within ${options.ackTimeoutMs} ms`));
    }, options.ackTimeoutMs);
    const { revision } = fleet.store;
    const flight = { nonce: this.#nonce, revision, target: desired, targetHash: hashOf(desired), timer };
    this.#flight = flight;
    fleet.setHostFacts(host, { desiredRevision: revision });
    this.#transmit(flight, base, [...upserts, ...again], removedUids).catch((err: unknown) => {
      this.#over.reject(FleetError.from(err));
    });
  }

  /** Sends an update chunk by chunk, each when the one before was taken. */
  async #transmit(
    { nonce, revision, targetHash }: Flight,
    baseRevision: bigint,
    upserts: readonly ResolvedAssignment[],
    removedUids: readonly string[],
  ): Promise<void> {
    const { fleet, host, log } = this.#parts;
    const chunks = splitUpdate(upserts, removedUids);
    const counts = { upserts: upserts.length, removals: removedUids.length, chunks: chunks.length };
    log.debug(
      { session: this.id, host, nonce: `${nonce}`, revision: `${revision}`, base: `${baseRevision}`, ...counts },
      'pushes',
    );
    for (const [i, chunk] of chunks.entries()) {
      const value: ConfigUpdate = {
        nonce,
        term: fleet.store.term,
        revision,
        baseRevision,
        chunk: i,
        lastChunk: i === chunks.length - 1,
        upserts: [...chunk.upserts],
        removedUids: [...chunk.removedUids],
        targetStateHash: targetHash,
      };
      await this.#send({ $case: 'configUpdate', value });
    }
  }

  #scheduleRetry(): void {
    const dueAt = this.#refusals.nextDueAt;
    this.#retry?.clear();
    if (dueAt === Number.POSITIVE_INFINITY) return;
    const { clock } = this.#parts;
    this.#retry = clock.setTimeout(() => this.#push(), Math.max(0, dueAt - clock.monotonic()));
  }

  #renewLease(): void {
    const { clock, options } = this.#parts;
    const ms = options.heartbeatMs * LEASE_HEARTBEATS;
    this.#lease?.clear();
    this.#lease = clock.setTimeout(() => {
      this.end(refusal('LEASE_EXPIRED', `nothing was heard of the agent for ${ms} ms`));
    }, ms);
  }

  #send(body: NonNullable<ControllerMessage['body']>): Promise<void> {
    this.#sentSeq += 1n;
    return this.#parts.stream.write({ seq: this.#sentSeq, ackSeq: this.#receivedSeq, body });
  }
}

function hashOf(held: ReadonlyMap<string, HeldRelay>): Buffer {
  return stateHash([...held].map(([uid, { generation, contentHash }]) => ({ uid, generation, contentHash })));
}
