import type { DatabaseSync, StatementSync } from 'node:sqlite';

/** What kind of thing an observation is about, or what it is. */
export type ObservationKind = 'host' | 'relay' | 'instance' | 'result';

/** The last that is known of something, as protobuf. */
export interface Observation {
  readonly kind: ObservationKind;
  /** "edge-1", "camera-7"; "edge-1/camera-7" for instances and results. */
  readonly key: string;
  readonly value: Uint8Array;
}

/** An observation to keep, or to forget if it has no value. */
export type ObservationWrite = Omit<Observation, 'value'> & { readonly value: Uint8Array | undefined };

/** The table of observations: no intent, and no revision of its own. What of it is lost, agents tell again when they connect. */
export class SqliteObservations {
  readonly #database: DatabaseSync;
  readonly #upsert: StatementSync;
  readonly #delete: StatementSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
    this.#upsert = database.prepare('INSERT OR REPLACE INTO observations (kind, key, value) VALUES (?, ?, ?)');
    this.#delete = database.prepare('DELETE FROM observations WHERE kind = ? AND key = ?');
  }

  /** Everything that is kept. */
  all(): Observation[] {
    return this.#database.prepare('SELECT kind, key, value FROM observations').all() as unknown as Observation[];
  }

  /**
   * Keeps and forgets, all or nothing, in one transaction. Not for use within writes of the store.
   *
   * @throws Error of node:sqlite, for example on a full disk; nothing is changed then
   */
  save(writes: readonly ObservationWrite[]): void {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      for (const { kind, key, value } of writes) {
        if (value === undefined) this.#delete.run(kind, key);
        else this.#upsert.run(kind, key, value);
      }
      this.#database.exec('COMMIT');
    } catch (thrown) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw thrown;
    }
  }
}
