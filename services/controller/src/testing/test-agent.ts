import type { ClientDuplexStream } from '@grpc/grpc-js';
import { toMilliseconds } from '@mcfleet/common/duration';
import { FleetError } from '@mcfleet/common/error';
import { createClient } from '@mcfleet/common/grpc/client';
import type { Address } from '@mcfleet/common/listen';
import { stateHash } from '@mcfleet/common/state-hash';
import { fromServiceError, toRpcStatus } from '@mcfleet/common/status-details';
import {
  AgentMessage,
  AgentServiceClient,
  ApplyPhase,
  type ConfigUpdate,
  type ControllerMessage,
  type Heartbeat,
  Hello,
  type RelayAssignment,
  RelayResult,
  type SessionControl,
  type Welcome,
} from '@mcfleet/proto/mcfleet/v1/agent_service';
import { InstanceState } from '@mcfleet/proto/mcfleet/v1/relay';

/** What an agent keeps over its sessions. */
export interface AgentState {
  clusterUid: string;
  term: bigint;
  revision: bigint;
  assignments: Map<string, RelayAssignment>;
}

export interface TestAgentOptions {
  readonly host: string;
  readonly controller: Address;
  readonly labels?: Record<string, string>;
  readonly state?: AgentState;
  /** What it makes of a relay. Default: READY. */
  readonly judge?: (assignment: RelayAssignment) => Partial<RelayResult>;
  /** Changes to its Hello. */
  readonly hello?: Partial<Hello>;
  /** Answers no updates. */
  readonly isMute?: boolean;
  /** Sends no heartbeats. */
  readonly isSilent?: boolean;
  /** Called when an update has come as a whole; it is carried out when what this returns is fulfilled. */
  readonly onUpdate?: () => void | Promise<void>;
}

/** A small agent: keeps the rules of AgentService, and forwards nothing. */
export class TestAgent {
  readonly state: AgentState;
  /** Every complete update, as it came. */
  readonly updates: { base: bigint; upserts: string[]; removed: string[]; chunks: number; bytes: number[] }[] = [];
  /** Resolves with the error that the session ended with; undefined if with none. */
  readonly ended: Promise<FleetError | undefined>;
  readonly welcomed: Promise<Welcome>;
  control: SessionControl | undefined;
  /** Rules of the protocol that the controller broke. */
  readonly violations: string[] = [];
  lastAckSeq = 0n;
  readonly #options: TestAgentOptions;
  readonly #client: AgentServiceClient;
  readonly #call: ClientDuplexStream<AgentMessage, ControllerMessage>;
  #seq = 0n;
  #heartbeats: NodeJS.Timeout | undefined;
  #chunks: ConfigUpdate[] = [];
  #chunkBytes: number[] = [];
  #inFlight = 0;
  #nextSeq = 1n;
  #isDropped = false;

  constructor(options: TestAgentOptions) {
    this.#options = options;
    this.state = options.state ?? { clusterUid: '', term: 0n, revision: 0n, assignments: new Map() };
    this.#client = createClient(AgentServiceClient, options.controller, {
      channelOptions: { 'grpc.use_local_subchannel_pool': 1, 'grpc.initial_reconnect_backoff_ms': 50 },
    });
    this.#call = this.#client.connect();
    const welcomed = Promise.withResolvers<Welcome>();
    const ended = Promise.withResolvers<FleetError | undefined>();
    this.welcomed = welcomed.promise;
    this.ended = ended.promise;
    this.welcomed.catch(() => {});
    this.#call.on('data', (message: ControllerMessage) => this.#receive(message, welcomed.resolve));
    const end = (error: FleetError | undefined): void => {
      clearInterval(this.#heartbeats);
      welcomed.reject(error ?? new Error('ended before Welcome'));
      ended.resolve(error);
      this.#client.close();
    };
    this.#call.on('error', (error) => end(fromServiceError(error as never)));
    this.#call.on('end', () => end(undefined));
    this.send({ $case: 'hello', value: this.#hello() });
  }

  /** Of what it holds. */
  get hash(): Buffer {
    return stateHash(this.state.assignments.values());
  }

  get relayNames(): string[] {
    return [...this.state.assignments.values()].map(({ name }) => name).sort();
  }

  send(body: NonNullable<AgentMessage['body']>, seq = this.#seq + 1n): void {
    this.#seq = seq;
    this.#call.write(AgentMessage.fromPartial({ seq, body } as never));
  }

  heartbeat(hash: Buffer = this.hash, more: Partial<Heartbeat> = {}): void {
    this.send({
      $case: 'heartbeat',
      value: {
        timeUnixNano: BigInt(Date.now()) * 1_000_000n,
        appliedRevision: this.state.revision,
        stateHash: hash,
        dataplaneHealthy: true,
        dataplaneMessage: '',
        dataplaneReason: '',
        storageMessage: '',
        inputs: [],
        outputs: [],
        workers: [],
        options: undefined,
        conditions: [],
        countersTimeUnixNano: 0n,
        ...more,
      },
    });
  }

  report(results: Partial<RelayResult>[]): void {
    this.send({
      $case: 'instanceReport',
      value: { results: results.map((result) => RelayResult.fromPartial(result as object)) },
    });
  }

  /** Ends without a word, as a broken connection does. */
  drop(): void {
    this.#isDropped = true;
    this.#call.cancel();
  }

  goodbye(): void {
    this.send({ $case: 'goodbye', value: { reason: 'test' } });
    this.#call.end();
  }

  #hello(): Hello {
    const { clusterUid, term, revision, assignments } = this.state;
    return Hello.fromPartial({
      host: this.#options.host,
      instanceUid: 'test',
      protocolMin: 1,
      protocolMax: 1,
      agentVersion: '0.1.0-test',
      labels: this.#options.labels ?? {},
      clusterUid,
      highestTerm: term,
      appliedRevision: revision,
      stateHash: this.hash,
      known: [...assignments.values()].map(({ uid, generation, contentHash }) => ({ uid, generation, contentHash })),
      ...(this.#options.hello as object),
    } as never);
  }

  #receive({ seq, ackSeq, body }: ControllerMessage, welcome: (message: Welcome) => void): void {
    // What was on its way when the connection broke is lost with it: the next one may have begun from the same state.
    if (this.#isDropped) return;
    if (seq !== this.#nextSeq) this.violations.push(`seq ${seq} instead of ${this.#nextSeq}`);
    this.#nextSeq = seq + 1n;
    this.lastAckSeq = ackSeq;
    if (body?.$case === 'welcome') {
      this.state.term = body.value.term;
      welcome(body.value);
      const interval = toMilliseconds(body.value.heartbeatInterval ?? { seconds: 15n, nanos: 0 });
      if (this.#options.isSilent !== true) this.#heartbeats = setInterval(() => this.heartbeat(), interval);
      this.report([...this.state.assignments.values()].map((assignment) => this.#result(assignment)));
      this.#clusterUid = body.value.clusterUid;
    } else if (body?.$case === 'configUpdate') this.#chunk(body.value);
    else if (body?.$case === 'control') this.control = body.value;
  }

  #clusterUid = '';

  #chunk(update: ConfigUpdate): void {
    if (update.chunk !== this.#chunks.length)
      this.violations.push(`chunk ${update.chunk} instead of ${this.#chunks.length}`);
    if (update.chunk === 0 && this.#inFlight > 0) this.violations.push('a second update while one is in flight');
    this.#inFlight = 1;
    this.#chunks.push(update);
    this.#chunkBytes.push(JSON.stringify(update.upserts, (_, v) => (typeof v === 'bigint' ? `${v}` : v)).length);
    if (!update.lastChunk) return;
    const chunks = this.#chunks.splice(0);
    const bytes = this.#chunkBytes.splice(0);
    const upserts = chunks.flatMap((chunk) => chunk.upserts);
    const removed = chunks.flatMap((chunk) => chunk.removedUids);
    this.updates.push({
      base: update.baseRevision,
      upserts: upserts.map(({ name }) => name),
      removed,
      chunks: chunks.length,
      bytes,
    });
    const ready = Promise.resolve(this.#options.onUpdate?.());
    if (this.#options.isMute === true) return;
    void ready.then(() => setImmediate(() => this.#apply(update, upserts, removed)));
  }

  #apply(update: ConfigUpdate, upserts: RelayAssignment[], removed: string[]): void {
    // Its successor has told what was held without this update.
    if (this.#isDropped) return;
    const { nonce, revision, baseRevision } = update;
    this.#inFlight = 0;
    const isSnapshot = baseRevision === 0n;
    if (!isSnapshot && (baseRevision !== this.state.revision || this.state.clusterUid !== this.#clusterUid)) {
      const message = `a difference to ${baseRevision} while ${this.state.revision} is held`;
      this.#reject(update, 'BASE_REVISION_MISMATCH', message);
      return;
    }
    const next = new Map(isSnapshot ? [] : this.state.assignments);
    for (const uid of removed) next.delete(uid);
    for (const assignment of upserts) next.set(assignment.uid, assignment);
    if (!stateHash(next.values()).equals(update.targetStateHash)) {
      this.#reject(update, 'STATE_HASH_MISMATCH', 'not what the controller means');
      return;
    }
    this.state.assignments = next;
    this.state.revision = revision;
    this.state.clusterUid = this.#clusterUid;
    const results = [
      ...upserts.map((assignment) => this.#result(assignment)),
      ...removed.map((uid) => RelayResult.fromPartial({ uid, removed: true })),
    ];
    const refusedOne = results.some(({ state }) => state === InstanceState.FAILED);
    const phase = refusedOne ? ApplyPhase.PARTIAL : ApplyPhase.APPLIED;
    this.send({
      $case: 'configStatus',
      value: { nonce, revision, phase, stateHash: this.hash, results, error: undefined },
    });
  }

  #reject({ nonce, revision }: ConfigUpdate, reason: string, message: string): void {
    this.violations.push(message);
    const error = toRpcStatus(new FleetError({ code: 9, reason, message }));
    const phase = ApplyPhase.REJECTED;
    this.send({ $case: 'configStatus', value: { nonce, revision, phase, stateHash: this.hash, results: [], error } });
  }

  #result(assignment: RelayAssignment): RelayResult {
    const { uid, generation } = assignment;
    const judged = this.#options.judge?.(assignment) ?? {};
    return RelayResult.fromPartial({
      uid,
      generation,
      state: InstanceState.READY,
      effectiveEngine: 2,
      ...(judged as object),
    });
  }
}
