import { refusal } from '../errors.ts';
import { KINDS, type Kind, type Objects, type Tables } from './kinds.ts';
import type { Change, RememberedRequest, Transaction } from './store.ts';
import type { Table, Undo } from './table.ts';

/** What a write wants on disk. */
export interface StagedWrite {
  /** One per object, the last state of each. */
  readonly changes: readonly Change[];
  readonly requests: readonly (readonly [id: string, request: RememberedRequest])[];
  /** Takes everything back in memory. */
  readonly undo: Undo;
}

/** Applies a write to the tables in memory and notes what it does, for the disk or for taking it back. */
export class StagingTransaction implements Transaction {
  readonly revision: bigint;
  readonly #tables: Tables;
  readonly #findRequest: (id: string) => RememberedRequest | undefined;
  readonly #undo: Undo[] = [];
  readonly #changes = new Map<string, Change>();
  readonly #requests: [string, RememberedRequest][] = [];

  constructor(tables: Tables, revision: bigint, findRequest: (id: string) => RememberedRequest | undefined) {
    this.#tables = tables;
    this.revision = revision;
    this.#findRequest = findRequest;
  }

  get relays(): Table<Objects['relay']> {
    return this.#tables.relay;
  }

  get hosts(): Table<Objects['host']> {
    return this.#tables.host;
  }

  put<K extends Kind>(kind: K, key: string, value: Objects[K]): void {
    this.#set(kind, key, value);
    const { size } = this.#tables[kind];
    if (size > KINDS[kind].limit) {
      throw refusal(
        'TOO_MANY_OBJECTS',
        `there are ${KINDS[kind].limit} ${kind}s already, the most that one controller keeps`,
      );
    }
  }

  delete(kind: Kind, key: string): void {
    this.#set(kind, key, undefined);
  }

  attempt<T>(part: () => T): T {
    const changes = new Map(this.#changes);
    const depth = this.#undo.length;
    try {
      return part();
    } catch (thrown) {
      for (const undo of this.#undo.splice(depth).reverse()) undo();
      this.#changes.clear();
      for (const [id, change] of changes) this.#changes.set(id, change);
      throw thrown;
    }
  }

  findRequest(id: string): RememberedRequest | undefined {
    return this.#findRequest(id);
  }

  rememberRequest(id: string, request: RememberedRequest): void {
    this.#requests.push([id, request]);
  }

  staged(): StagedWrite {
    const changes = [...this.#changes.values()].filter(({ before, after }) => before !== after);
    return { changes, requests: this.#requests, undo: () => this.rollback() };
  }

  rollback(): void {
    for (const undo of this.#undo.splice(0).reverse()) undo();
  }

  #set<K extends Kind>(kind: K, key: string, value: Objects[K] | undefined): void {
    const table: Table<Objects[K]> = this.#tables[kind];
    const id = `${kind}/${key}`;
    const known = this.#changes.get(id);
    const before = known === undefined ? table.get(key) : known.before;
    this.#undo.push(table.set(key, value));
    this.#changes.set(id, { kind, key, revision: this.revision, before, after: value } as Change);
  }
}
