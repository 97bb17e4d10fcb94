import { join } from 'node:path';
import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { type Clock, systemClock } from '@mcfleet/common/clock';
import { FleetError } from '@mcfleet/common/error';
import type { Logger } from '@mcfleet/common/log';
import { refusal } from '../errors.ts';
import { rememberCluster } from './earlier-cluster.ts';
import { createTables, KINDS, type Kind, type Tables } from './kinds.ts';
import { SqliteObservations } from './observations.ts';
import { corrupt, openDatabase } from './open-database.ts';
import { SqliteCode, sqliteCode } from './sqlite-code.ts';
import { DEFAULT_LOG_LIMITS, decode, encode, type LogLimits, SqliteLog } from './sqlite-log.ts';
import { SqliteRequests } from './sqlite-requests.ts';
import type { Change, ChangeOf, CommitListener, FleetStore, RememberedRequest, Transaction } from './store.ts';
import { type StagedWrite, StagingTransaction } from './transaction.ts';
import { type QueuedWrite, WriteQueue } from './write-queue.ts';

type Work = (transaction: Transaction) => unknown;

/** A write whose work has run in memory and waits for the disk. */
interface RunWrite {
  readonly queued: QueuedWrite<Work>;
  readonly result: unknown;
  readonly staged: StagedWrite;
}

export interface SqliteStoreOptions {
  readonly dataDir: string;
  readonly log: Logger;
  readonly clock?: Clock;
  readonly logLimits?: LogLimits;
  /** The store was restored from a copy. Default: false. */
  readonly isRestored?: boolean;
}

/**
 * The embedded store: one SQLite file, and all objects in memory too. Its only writer is this process. A batch of writes runs in
 * memory, goes to disk in one transaction, and is then announced, all within one turn of the event loop: nobody else ever sees
 * what is not durable.
 */
export class SqliteStore implements FleetStore {
  readonly clusterUid: string;
  readonly term: bigint;
  readonly tokenKey: Uint8Array;
  readonly tables: Tables = createTables();
  /** What hosts said, beside the intent. Not to be used once the store is closed. */
  readonly observations: SqliteObservations;
  readonly #file: string;
  readonly #log: Logger;
  readonly #database: DatabaseSync;
  readonly #history: SqliteLog;
  readonly #requests: SqliteRequests;
  readonly #queue: WriteQueue<Work>;
  readonly #upsertObject: StatementSync;
  readonly #deleteObject: StatementSync;
  readonly #saveState: StatementSync;
  readonly #listeners = new Set<CommitListener>();
  /** Requests of the batch that is being run: not on disk yet, but seen by the writes behind them. */
  readonly #batchRequests = new Map<string, RememberedRequest>();
  #revision: bigint;
  #closed = false;

  /** @throws FleetError as `openDatabase` */
  constructor({
    dataDir,
    log,
    clock = systemClock,
    logLimits = DEFAULT_LOG_LIMITS,
    isRestored = false,
  }: SqliteStoreOptions) {
    this.#log = log;
    this.#file = join(dataDir, 'store.db');
    this.#database = openDatabase(dataDir, isRestored);
    const state = this.#readState();
    this.clusterUid = state.cluster_uid as string;
    this.term = state.term as bigint;
    this.tokenKey = state.token_key as Uint8Array;
    try {
      rememberCluster(dataDir, this.clusterUid);
    } catch (err) {
      log.warn({ err, data_dir: dataDir }, 'cannot write which cluster this is: a store that is lost may go unnoticed');
    }
    this.#revision = state.revision as bigint;
    this.#history = new SqliteLog(this.#database, state.compacted_revision as bigint, logLimits);
    this.#requests = new SqliteRequests(this.#database, clock);
    this.observations = new SqliteObservations(this.#database);
    this.#upsertObject = this.#database.prepare(
      'INSERT OR REPLACE INTO objects (kind, key, revision, value) VALUES (?, ?, ?, ?)',
    );
    this.#deleteObject = this.#database.prepare('DELETE FROM objects WHERE kind = ? AND key = ?');
    this.#saveState = this.#database.prepare('UPDATE state SET revision = ?, compacted_revision = ?');
    this.#queue = new WriteQueue(clock, (batch) => this.#commit(batch));
    this.#load();
  }

  get revision(): bigint {
    return this.#revision;
  }

  write<T>(work: (transaction: Transaction) => T): Promise<T> {
    if (this.#closed) return Promise.reject(refusal('STORE_CLOSED', 'the controller is shutting down'));
    return this.#queue.add(work) as Promise<T>;
  }

  dryRun<T>(work: (transaction: Transaction) => T): T {
    const transaction = this.#begin(this.#revision + 1n);
    try {
      return work(transaction);
    } finally {
      transaction.rollback();
    }
  }

  changesSince<K extends Kind>(kind: K, revision: bigint): readonly ChangeOf<K>[] | undefined {
    return this.#history.since(kind, revision);
  }

  onCommit(listener: CommitListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#queue.drain();
    this.#database.close();
  }

  /** Runs a batch in memory, makes it durable, announces it, and settles its writes. */
  #commit(batch: readonly QueuedWrite<Work>[]): void {
    const before = this.#revision;
    const run = batch.map((queued) => this.#run(queued)).filter((each) => each !== undefined);
    this.#batchRequests.clear();
    const restore = [this.#history.mark(), this.#requests.mark()];
    try {
      this.#persist(run);
    } catch (thrown) {
      for (const { staged } of run.toReversed()) staged.undo();
      for (const undo of restore) undo();
      this.#revision = before;
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      // One write that does not fit must not fail those beside it.
      if (run.length > 1) for (const { queued } of run) this.#commit([queued]);
      else run[0]?.queued.reject(this.#explain(thrown));
      return;
    }
    const changes = run.flatMap(({ staged }) => staged.changes);
    if (changes.length > 0) for (const listener of this.#listeners) listener(changes);
    for (const { queued, result } of run) queued.resolve(result);
  }

  #run(queued: QueuedWrite<Work>): RunWrite | undefined {
    const transaction = this.#begin(this.#revision + 1n);
    try {
      const result = queued.work(transaction);
      const staged = transaction.staged();
      this.#requests.assertRoom(staged.requests.length);
      for (const [id, request] of staged.requests) this.#batchRequests.set(id, request);
      if (staged.changes.length > 0) this.#revision += 1n;
      return { queued, result, staged };
    } catch (thrown) {
      transaction.rollback();
      queued.reject(thrown);
      return undefined;
    }
  }

  #begin(revision: bigint): StagingTransaction {
    return new StagingTransaction(
      this.tables,
      revision,
      (id) => this.#batchRequests.get(id) ?? this.#requests.find(id),
    );
  }

  #persist(run: readonly RunWrite[]): void {
    if (run.every(({ staged }) => staged.changes.length === 0 && staged.requests.length === 0)) return;
    this.#database.exec('BEGIN IMMEDIATE');
    for (const { staged } of run) {
      for (const change of staged.changes) this.#persistObject(change);
      this.#history.append(staged.changes);
      this.#requests.insert(staged.requests);
    }
    this.#history.compact();
    this.#saveState.run(this.#revision, this.#history.compactedRevision);
    this.#database.exec('COMMIT');
  }

  #persistObject({ kind, key, revision, after }: Change): void {
    const value = encode(kind, after);
    if (value === null) this.#deleteObject.run(kind, key);
    else this.#upsertObject.run(kind, key, revision, value);
  }

  #explain(thrown: unknown): FleetError {
    const code = sqliteCode(thrown);
    const cause = FleetError.from(thrown);
    if (code === SqliteCode.FULL) {
      this.#log.warn({ file: this.#file }, 'disk full: writes are refused until there is space');
      const message = 'the disk of the controller is full, nothing was changed: make space there and try again';
      return refusal('STORE_FULL', message, { cause, retryDelayMs: 5000 });
    }
    this.#log.error({ file: this.#file, err: thrown }, 'store write failed');
    return refusal('STORE_FAILED', 'the store of the controller failed, nothing was changed: its log says why', {
      cause,
    });
  }

  #readState(): Record<string, unknown> {
    const statement = this.#database.prepare('SELECT * FROM state');
    statement.setReadBigInts(true);
    const state = statement.get();
    if (state === undefined) throw corrupt(this.#file, 'it has no state');
    return state;
  }

  #load(): void {
    for (const row of this.#database.prepare('SELECT kind, key, value FROM objects').iterate()) {
      const { kind, key } = row as { kind: Kind; key: string };
      try {
        if (!Object.hasOwn(KINDS, kind)) throw new Error('unknown kind');
        this.tables[kind].set(key, decode(kind, row.value as Uint8Array) as never);
      } catch (thrown) {
        this.#database.close();
        throw corrupt(this.#file, `${kind} ${key} cannot be read: ${FleetError.from(thrown).message}`);
      }
    }
  }
}
