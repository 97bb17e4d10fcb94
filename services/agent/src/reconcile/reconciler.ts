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
  #assignments: ReadonlyMap<string, RelayAssignment> = new Map();
  #facts: LocalFacts = { interfaces: new Map(), capabilities: undefined };
  #dataplane: DataplaneState = { running: false, message: 'it was not looked for yet' };
  /** Plans of the present facts; new facts start a new map. */
  #plans = new WeakMap<RelayAssignment, RelayPlan>();
  #outcomes = new Map<string, { plan: RelayPlan; outcome: ProgramOutcome }>();
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
    return [...this.#outcomes.values()].map(({ plan }) => plan);
  }

  setAssignments(assignments: ReadonlyMap<string, RelayAssignment>): Promise<void> {
    this.#assignments = assignments;
    return this.reconcile();
  }

  setInterfaces(interfaces: LocalFacts['interfaces']): Promise<void> {
    this.#setFacts({ ...this.#facts, interfaces });
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
      return this.#closed ? undefined : this.#run();
    });
    return this.#queued;
  }

  /** Takes in what the data plane told: links that went down in it, and programs that are not those it was given. */
  observe(snapshot: SnapshotResponse): void {
    this.#takeRuntime(snapshot);
    this.#publish(new Set(), undefined);
    const drift = diffPrograms(this.#desiredPrograms(), snapshot.relays);
    const missing = drift.upserts.some((program) => this.#refusals.problemOf(program) === undefined);
    if (missing || drift.removedUids.length > 0) void this.reconcile();
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
    this.#makePlans();
    const dataplane = this.#dataplane;
    let retryMs = RECHECK_MS;
    if (dataplane.running) {
      try {
        await this.#program(dataplane.client);
        this.#setTrouble('');
      } catch (thrown) {
        if (this.#dataplane === dataplane) {
          const error = FleetError.from(thrown);
          this.#setTrouble(error.message);
          this.#setAll({ kind: 'no_dataplane', message: error.message });
          this.#publish(new Set(), undefined);
          retryMs = RETRY_MS;
        }
      }
    } else {
      this.#setAll({ kind: 'no_dataplane', message: dataplane.message });
      this.#publish(new Set(), undefined);
    }
    const now = this.#options.clock.monotonic();
    const delay = Math.min(retryMs, Math.max(0, (this.#refusals.nextRetryAt() ?? Number.POSITIVE_INFINITY) - now));
    if (!this.#closed) this.#timer = this.#options.clock.setTimeout(() => void this.reconcile(), delay);
  }

  #makePlans(): void {
    const before = this.#outcomes;
    this.#outcomes = new Map();
    for (const [uid, assignment] of this.#assignments) {
      let plan = this.#plans.get(assignment);
      if (plan === undefined) {
        plan = resolveRelay(assignment, this.#facts);
        this.#plans.set(assignment, plan);
      }
      this.#outcomes.set(uid, { plan, outcome: before.get(uid)?.outcome ?? { kind: 'not_programmed' } });
    }
    this.#refusals.retain(new Set(this.#assignments.keys()));
  }

  #setAll(outcome: ProgramOutcome): void {
    for (const entry of this.#outcomes.values()) {
      entry.outcome = entry.plan.program === undefined ? { kind: 'not_programmed' } : outcome;
    }
  }

  async #program(client: DataplaneCalls): Promise<void> {
    const snapshot = await client.snapshot();
    const diff = diffPrograms(this.#desiredPrograms(), snapshot.relays);
    const now = this.#options.clock.monotonic();
    const upserts = diff.upserts.filter((program) => !this.#refusals.blocks(program, now));
    let duration: Duration | undefined;
    if (upserts.length + diff.removedUids.length > 0) {
      const started = this.#options.clock.monotonic();
      const response = await client.apply({ replaceAll: false, upserts, removedUids: diff.removedUids });
      duration = response.duration ?? toDuration(this.#options.clock.monotonic() - started);
      const errors = new Map(response.results.map(({ uid, error }) => [uid, error]));
      for (const program of upserts) {
        const error = errors.get(program.uid);
        if (error === undefined) this.#refusals.forget(program.uid);
        else this.#refusals.record(program, problemOf(fromRpcStatus(error)), now);
      }
      this.#options.log.info(
        {
          upserts: upserts.length,
          removed: diff.removedUids.length,
          refused: response.results.filter(({ error }) => error !== undefined).length,
        },
        'programmed the data plane',
      );
    }
    for (const entry of this.#outcomes.values()) entry.outcome = this.#outcomeOf(entry.plan);
    this.#takeRuntime(upserts.length === 0 ? snapshot : await client.snapshot());
    this.#publish(new Set(upserts.map(({ uid }) => uid)), duration);
  }

  #outcomeOf(plan: RelayPlan): ProgramOutcome {
    if (plan.program === undefined) return { kind: 'not_programmed' };
    const problem = this.#refusals.problemOf(plan.program);
    return problem === undefined ? { kind: 'programmed', runtime: undefined } : { kind: 'refused', problem };
  }

  /** Programs of all plans. */
  #desiredPrograms(): ProgrammedRelay[] {
    return [...this.#outcomes.values()].flatMap(({ plan }) => plan.program ?? []);
  }

  #takeRuntime(snapshot: SnapshotResponse): void {
    const inputs = new Map(snapshot.inputs.map((input) => [input.ifindex, input]));
    for (const { uid, counters } of snapshot.relays) {
      const entry = this.#outcomes.get(uid);
      if (entry?.outcome.kind !== 'programmed' || counters === undefined) continue;
      const input = inputs.get(entry.plan.program?.inputIfindex ?? 0);
      const inputDown = input === undefined || input.up ? '' : input.downReason || 'InputDown';
      const runtime: Runtime = { counters, inputDown };
      entry.outcome = { kind: 'programmed', runtime };
    }
  }

  #publish(applied: ReadonlySet<string>, duration: Duration | undefined): void {
    const changed: RelayResult[] = [];
    const results = new Map<string, RelayResult>();
    for (const [uid, { plan, outcome }] of this.#outcomes) {
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

function problemOf(error: FleetError): Problem {
  return { code: error.code as status, reason: error.reason, message: error.message };
}

function sameResult(a: RelayResult, b: RelayResult): boolean {
  const bytes = (result: RelayResult): Uint8Array =>
    RelayResult.encode({ ...result, applyDuration: undefined }).finish();
  return Buffer.compare(bytes(a), bytes(b)) === 0;
}
