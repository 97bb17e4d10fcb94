import type { Kind, Objects, Tables } from './kinds.ts';
import type { Table } from './table.ts';

/** One object that a write changed. */
export type Change = { readonly [K in Kind]: ChangeOf<K> }[Kind];

/** One object of a kind that a write changed. `before` is absent if it was created, `after` if it was deleted. */
export interface ChangeOf<K extends Kind> {
  readonly kind: K;
  readonly key: string;
  readonly revision: bigint;
  readonly before: Objects[K] | undefined;
  readonly after: Objects[K] | undefined;
}

/** The answer of an earlier request with a request id. */
export interface RememberedRequest {
  readonly bodyHash: Uint8Array;
  readonly response: Uint8Array;
}

/**
 * What one write sees and does. It sees what it has done itself. Throwing takes all of it back. The function that gets it may run
 * more than once and must do nothing else that lasts.
 */
export interface Transaction {
  readonly relays: Table<Objects['relay']>;
  readonly hosts: Table<Objects['host']>;
  /** The revision that the write gets, if it changes anything. */
  readonly revision: bigint;
  /** Creates or replaces an object. */
  put<K extends Kind>(kind: K, key: string, value: Objects[K]): void;
  delete(kind: Kind, key: string): void;
  /** Runs a part of the write; if it throws, that part is taken back and the error thrown on. */
  attempt<T>(part: () => T): T;
  /** The request of this id in the last 24 hours. */
  findRequest(id: string): RememberedRequest | undefined;
  /** Keeps the answer to a request for 24 hours. */
  rememberRequest(id: string, request: RememberedRequest): void;
}

/** Sees every committed change, in order, before the writer learns of it. Must not throw. */
export type CommitListener = (changes: readonly Change[]) => void;

/** Where intent is kept. Everything in it has one global order: its revision. */
export interface FleetStore {
  /** Identifies the store; agents hold state of one. */
  readonly clusterUid: string;
  /** Fencing: higher in a store that was restored from a backup. */
  readonly term: bigint;
  /** Secret of this store, for tokens that clients hand back. */
  readonly tokenKey: Uint8Array;
  /** Revision of the last write. */
  readonly revision: bigint;
  /** What is committed. */
  readonly tables: Tables;
  /**
   * Runs a write. When the promise resolves it is durable. Writes that come together share one fsync.
   *
   * @throws FleetError STORE_FULL, STORE_FAILED, STORE_CLOSED, WRITE_QUEUE_FULL, TOO_MANY_OBJECTS, or what `work` throws
   */
  write<T>(work: (transaction: Transaction) => T): Promise<T>;
  /** Runs a write, answers what it answers, and takes it back. */
  dryRun<T>(work: (transaction: Transaction) => T): T;
  /** The changes of a kind after a revision, in order; undefined if they are no longer kept. */
  changesSince<K extends Kind>(kind: K, revision: bigint): readonly ChangeOf<K>[] | undefined;
  /** Subscribes to commits; call the result to stop. */
  onCommit(listener: CommitListener): () => void;
  /** Writes what is waiting and closes. */
  close(): Promise<void>;
}
