import type { DatabaseSync, StatementSync } from 'node:sqlite';
import { KINDS, type Kind, type Objects } from './kinds.ts';
import type { Change, ChangeOf } from './store.ts';

/** Bounds of the change log: what is older is compacted, and watches that would resume there must list again. */
export interface LogLimits {
  /** Default: 10,000 changes. */
  readonly changes: number;
  /** Default: 64 MiB of objects before and after. */
  readonly bytes: number;
}

export const DEFAULT_LOG_LIMITS: LogLimits = { changes: 10_000, bytes: 64 * 1024 * 1024 };

/** Compaction makes room for a tenth, so that it is rare. */
const KEEP = 0.9;

interface Size {
  changes: number;
  bytes: number;
}

/** The table of changes: the store's recent history. */
export class SqliteLog {
  readonly #limits: LogLimits;
  readonly #insert: StatementSync;
  readonly #select: StatementSync;
  readonly #oldest: StatementSync;
  readonly #delete: StatementSync;
  #size: Size;
  #compactedRevision: bigint;

  constructor(database: DatabaseSync, compactedRevision: bigint, limits: LogLimits) {
    this.#limits = limits;
    this.#compactedRevision = compactedRevision;
    this.#insert = database.prepare(
      'INSERT INTO changes (revision, ordinal, kind, key, before, after) VALUES (?, ?, ?, ?, ?, ?)',
    );
    this.#select = database.prepare(
      'SELECT revision, key, before, after FROM changes WHERE revision > ? AND kind = ? ORDER BY revision, ordinal',
    );
    this.#select.setReadBigInts(true);
    const length = 'coalesce(length(before), 0) + coalesce(length(after), 0)';
    this.#oldest = database.prepare(`SELECT revision, ${length} AS bytes FROM changes ORDER BY revision, ordinal`);
    this.#oldest.setReadBigInts(true);
    this.#delete = database.prepare('DELETE FROM changes WHERE revision <= ?');
    const size = database
      .prepare(`SELECT count(*) AS changes, coalesce(sum(${length}), 0) AS bytes FROM changes`)
      .get();
    this.#size = { changes: Number(size?.changes), bytes: Number(size?.bytes) };
  }

  /** Changes up to this revision are no longer kept. */
  get compactedRevision(): bigint {
    return this.#compactedRevision;
  }

  append(changes: readonly Change[]): void {
    changes.forEach((change, ordinal) => {
      const before = encode(change.kind, change.before);
      const after = encode(change.kind, change.after);
      this.#insert.run(change.revision, ordinal, change.kind, change.key, before, after);
      this.#size.changes += 1;
      this.#size.bytes += (before?.length ?? 0) + (after?.length ?? 0);
    });
  }

  /** Deletes the oldest changes if there are too many. Answers whether it did. */
  compact(): boolean {
    const { changes, bytes } = this.#limits;
    if (this.#size.changes <= changes && this.#size.bytes <= bytes) return false;
    let upTo = this.#compactedRevision;
    const left = { ...this.#size };
    for (const row of this.#oldest.iterate()) {
      const revision = row.revision as bigint;
      // A revision is kept whole or not at all.
      if (revision !== upTo && left.changes <= changes * KEEP && left.bytes <= bytes * KEEP) break;
      upTo = revision;
      left.changes -= 1;
      left.bytes -= Number(row.bytes);
    }
    this.#delete.run(upTo);
    this.#compactedRevision = upTo;
    this.#size = left;
    return true;
  }

  since<K extends Kind>(kind: K, revision: bigint): readonly ChangeOf<K>[] | undefined {
    if (revision < this.#compactedRevision) return undefined;
    return this.#select.all(revision, kind).map((row) => ({
      kind,
      key: row.key as string,
      revision: row.revision as bigint,
      before: decode(kind, row.before as Uint8Array | null),
      after: decode(kind, row.after as Uint8Array | null),
    }));
  }

  /** What `restore` needs to take back what a rolled back transaction did. */
  mark(): () => void {
    const size = { ...this.#size };
    const compactedRevision = this.#compactedRevision;
    return () => {
      this.#size = size;
      this.#compactedRevision = compactedRevision;
    };
  }
}

/** An object as the store writes it. */
export function encode<K extends Kind>(kind: K, value: Objects[K] | undefined): Uint8Array | null {
  if (value === undefined) return null;
  const codec = KINDS[kind].codec as { encode(message: Objects[K]): { finish(): Uint8Array } };
  return codec.encode(value).finish();
}

/** An object as it was written. */
export function decode<K extends Kind>(kind: K, bytes: Uint8Array | null): Objects[K] | undefined {
  if (bytes === null) return undefined;
  const codec = KINDS[kind].codec as { decode(input: Uint8Array): Objects[K] };
  return codec.decode(bytes);
}
