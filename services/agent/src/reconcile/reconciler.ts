import type { status } from '@grpc/grpc-js';
import type { Clock } from '@mcfleet/common/clock';
import { toDuration } from '@mcfleet/common/duration';
import { FleetError } from '@mcfleet/common/error';
import type { Logger } from '@mcfleet/common/log';
import { fromRpcStatus } from '@mcfleet/common/status-details';
import type { Duration } from '@mcfleet/proto/google/protobuf/duration';
import { type RelayAssignment, RelayResult } from '@mcfleet/proto/mcfleet/v1/agent_service';
import type { ProgrammedRelay, SnapshotResponse } from '@mcfleet/proto/mcfleet/v1/dataplane_service';
import type { DataplaneClient } from '../dataplane/dataplane-client.ts';
import type { Problem } from '../resolve/problem.ts';
import { type LocalFacts, type RelayPlan, resolveRelay } from '../resolve/resolve-relay.ts';
import { diffPrograms } from './diff.ts';
import { LoopWatch } from './loop-watch.ts';
import { Refusals } from './refusals.ts';
import { type ProgramOutcome, type Runtime, relayResult } from './relay-result.ts';

/** How often what is programmed is compared with what shall be, though nothing is known to have changed. */
const RECHECK_MS = 10_000;
/** After a call to the data plane failed. */
const RETRY_MS = 500;

/** The data plane as the reconciler uses it. */
export type DataplaneCalls = Pick<DataplaneClient, 'apply' | 'snapshot'>;

/** The data plane of the host, or why there is none. */
export type DataplaneState =
  | { readonly running: true; readonly client: DataplaneCalls; readonly capabilities: ReadonlySet<string> }
  | { readonly running: false; readonly message: string };

/** What each assigned relay came to, by uid. */
type Entries = Map<string, { readonly plan: RelayPlan; outcome: ProgramOutcome }>;

export interface ReconcilerOptions {
  readonly clock: Clock;
  readonly log: Logger;
  /** Relays whose state on this host changed. */
  readonly onResults: (changed: readonly RelayResult[]) => void;
  /** Why calls to a data plane that runs fail; empty when they work again. */
  readonly onTrouble: (message: string) => void;
}

/**
 * Makes the data plane forward what shall be forwarded. Level-triggered: each run starts from all assignments, the interfaces as
 * they are and the programs as the data plane tells them, so that a missed event costs time and never correctness.
 *
 * Single writer: runs never overlap; any number of triggers during a run lead to one more.
 */
export class Reconciler {
  readonly #options: ReconcilerOptions;
  readonly #refusals = new Refusals();
  readonly #loops = new LoopWatch();
  #begun = false;
  #assignments: ReadonlyMap<string, RelayAssignment> = new Map();
  #complete = false;
  #facts: LocalFacts = { interfaces: new Map(), capabilities: undefined };
  #dataplane: DataplaneState = { running: false, message: 'it was not looked for yet' };
  /** Plans of the present facts; new facts start a new map. */
  #plans = new WeakMap<RelayAssignment, RelayPlan>();
  /** As of the last run that has an outcome. */
  #entries: Entries = new Map();
  #results = new Map<string, RelayResult>();
  #last: Promise<void> = Promise.resolve();
  #queued: Promise<void> | undefined;
  #timer: { clear(): void } | undefined;
  #trouble = '';
  #closed = false;

  constructor(options: ReconcilerOptions) {
    this.#options = options;
  }

  /** What every assigned relay is on this host, by uid, as of the last run. */
  get results(): ReadonlyMap<string, RelayResult> {
    return this.#results;
  }

  /** What every assigned relay came to at the last run. */
  plans(): RelayPlan[] {
    return [...this.#entries.values()].map(({ plan }) => plan);
  }

  /**
   * @param complete false if this may not be all that the host shall have, because the agent has lost its state or never had one:
   *   then nothing is removed from a data plane that forwards.
   */
  setAssignments(assignments: ReadonlyMap<string, RelayAssignment>, complete: boolean): Promise<void> {
    this.#assignments = assignments;
    this.#complete = complete;
    return this.reconcile();
  }

  setInterfaces(interfaces: LocalFacts['interfaces']): Promise<void> {
    this.#setFacts({ ...this.#facts, interfaces });
    return this.reconcile();
  }

  /** Begins to act. Before that, facts are only taken in: half of them would take a running data plane apart. */
  begin(): Promise<void> {
    this.#begun = true;
    return this.reconcile();
  }

  setDataplane(dataplane: DataplaneState): Promise<void> {
    this.#dataplane = dataplane;
    this.#setTrouble('');
    this.#setFacts({ ...this.#facts, capabilities: dataplane.running ? dataplane.capabilities : undefined });
    return this.reconcile();
  }

  /** Resolves when a run that began after this call is done. Never rejects. */
  reconcile(): Promise<void> {
    this.#queued ??= this.#last = this.#last.then(() => {
      this.#queued = undefined;
      return this.#begun && !this.#closed ? this.#run() : undefined;
    });
    return this.#queued;
  }

  /** Takes in what the data plane told: links that went down in it, and programs that are not those it was given. */
  observe(snapshot: SnapshotResponse): void {
    this.#takeRuntime(snapshot);
    this.#publish(new Set(), undefined);
    const drift = diffPrograms(programsOf(this.#entries), snapshot.relays);
    const missing = drift.upserts.some((program) => this.#refusals.problemOf(program) === undefined);
    if (missing || (this.#complete && drift.removedUids.length > 0)) void this.reconcile();
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.clear();
    await this.#last;
  }

  #setFacts(facts: LocalFacts): void {
    this.#facts = facts;
    this.#plans = new WeakMap();
    this.#refusals.clear();
  }

  async #run(): Promise<void> {
    this.#timer?.clear();
    const entries = this.#planAll();
    const dataplane = this.#dataplane;
    let retryMs = RECHECK_MS;
    if (dataplane.running) {
      try {
        await this.#program(dataplane.client, entries);
        this.#setTrouble('');
      } catch (thrown) {
        const error = FleetError.from(thrown);
        const message = `the data plane of this host does not do as it is told: ${error.message}`;
        if (this.#dataplane === dataplane) this.#setTrouble(message);
        this.#adopt(entries, { kind: 'no_dataplane', message });
        retryMs = RETRY_MS;
      }
    } else {
      const message = `the data plane of this host is not running: ${dataplane.message}`;
      this.#adopt(entries, { kind: 'no_dataplane', message });
    }
    const now = this.#options.clock.monotonic();
    const delay = Math.min(retryMs, Math.max(0, (this.#refusals.nextRetryAt() ?? Number.POSITIVE_INFINITY) - now));
    if (!this.#closed) this.#timer = this.#options.clock.setTimeout(() => void this.reconcile(), delay);
  }

  /** Plans of all assignments by the present facts. They become what is told of the relays only when the run has an outcome. */
  #planAll(): Entries {
    const entries: Entries = new Map();
    for (const [uid, assignment] of this.#assignments) {
      let plan = this.#plans.get(assignment);
      if (plan === undefined) {
        plan = resolveRelay(assignment, this.#facts);
        this.#plans.set(assignment, plan);
      }
      entries.set(uid, { plan, outcome: { kind: 'not_programmed' } });
    }
    this.#refusals.retain(new Set(this.#assignments.keys()));
    this.#loops.retain(this.#assignments);
    return entries;
  }

  /** Makes the outcome of a run, the same for every relay with a program, what is told. */
  #adopt(entries: Entries, outcome: ProgramOutcome): void {
    for (const entry of entries.values()) if (entry.plan.program !== undefined) entry.outcome = outcome;
    this.#entries = entries;
    this.#publish(new Set(), undefined);
  }

  async #program(client: DataplaneCalls, entries: Entries): Promise<void> {
    const snapshot = await client.snapshot();
    const diff = diffPrograms(programsOf(entries), snapshot.relays);
    const now = this.#options.clock.monotonic();
    const upserts = diff.upserts.filter((program) => !this.#refusals.blocks(program, now));
    const removedUids = this.#complete ? diff.removedUids : [];
    if (upserts.length + removedUids.length === 0) {
      this.#settle(entries, snapshot, upserts, undefined);
      return;
    }
    const response = await client.apply({ replaceAll: false, upserts, removedUids });
    const duration = response.duration ?? toDuration(this.#options.clock.monotonic() - now);
    const errors = new Map(response.results.map(({ uid, error }) => [uid, error]));
    for (const program of upserts) {
      const error = errors.get(program.uid);
      if (error === undefined) this.#refusals.forget(program.uid);
      else this.#refusals.record(program, problemOf(fromRpcStatus(error)), now);
    }
    const refused = response.results.filter(({ error }) => error !== undefined).length;
    const counts = { upserts: upserts.length, removed: removedUids.length, refused };
    this.#options.log.info(counts, 'programmed the data plane');
    this.#settle(entries, await readAgain(client, snapshot, upserts), upserts, duration);
  }

  /** Makes what became of each relay what is told. */
  #settle(
    entries: Entries,
    snapshot: SnapshotResponse,
    upserts: readonly ProgrammedRelay[],
    duration: Duration | undefined,
  ): void {
    for (const entry of entries.values()) entry.outcome = this.#outcomeOf(entry.plan);
    this.#entries = entries;
    this.#takeRuntime(snapshot);
    this.#publish(new Set(upserts.map(({ uid }) => uid)), duration);
  }

  #outcomeOf(plan: RelayPlan): ProgramOutcome {
    if (plan.program === undefined) return { kind: 'not_programmed' };
    const problem = this.#refusals.problemOf(plan.program);
    return problem === undefined ? { kind: 'programmed', runtime: undefined } : { kind: 'refused', problem };
  }

  #takeRuntime(snapshot: SnapshotResponse): void {
    const inputs = new Map(snapshot.inputs.map((input) => [input.ifindex, input]));
    for (const { uid, counters } of snapshot.relays) {
      const entry = this.#entries.get(uid);
      if (entry?.outcome.kind !== 'programmed' || counters === undefined) continue;
      const input = inputs.get(entry.plan.program?.inputIfindex ?? 0);
      const inputDown = input === undefined || input.up ? '' : input.downReason || 'InputDown';
      const loopSuspected = this.#loops.isSuspected(uid, counters, this.#options.clock.monotonic());
      const runtime: Runtime = { counters, inputDown, loopSuspected };
      entry.outcome = { kind: 'programmed', runtime };
    }
  }

  #publish(applied: ReadonlySet<string>, duration: Duration | undefined): void {
    const changed: RelayResult[] = [];
    const results = new Map<string, RelayResult>();
    for (const [uid, { plan, outcome }] of this.#entries) {
      const before = this.#results.get(uid);
      const sameGeneration = before?.generation === plan.generation;
      const applyDuration = applied.has(uid) ? duration : sameGeneration ? before?.applyDuration : undefined;
      const result = { ...relayResult(plan, outcome), applyDuration };
      results.set(uid, result);
      if (before === undefined || !sameResult(before, result)) changed.push(result);
    }
    this.#results = results;
    if (changed.length > 0) this.#options.onResults(changed);
  }

  #setTrouble(message: string): void {
    if (message === this.#trouble) return;
    this.#trouble = message;
    if (message !== '') this.#options.log.warn({ detail: message }, 'the data plane does not answer; trying again');
    this.#options.onTrouble(message);
  }
}

/** What was read before the change, with what the change was about read again: nothing else has become another. */
async function readAgain(
  client: DataplaneCalls,
  before: SnapshotResponse,
  upserts: readonly ProgrammedRelay[],
): Promise<SnapshotResponse> {
  const uids = upserts.map(({ uid }) => uid);
  if (uids.length === 0) return before;
  const now = await client.snapshot(uids);
  const changed = new Set(uids);
  return { ...now, relays: [...before.relays.filter(({ uid }) => !changed.has(uid)), ...now.relays] };
}

function programsOf(entries: Entries): ProgrammedRelay[] {
  return [...entries.values()].flatMap(({ plan }) => plan.program ?? []);
}

function problemOf(error: FleetError): Problem {
  return { code: error.code as status, reason: error.reason, message: error.message };
}

function sameResult(a: RelayResult, b: RelayResult): boolean {
  const bytes = (result: RelayResult): Uint8Array =>
    RelayResult.encode({ ...result, applyDuration: undefined }).finish();
  return Buffer.compare(bytes(a), bytes(b)) === 0;
}
