import type { DatabaseSync, StatementSync } from 'node:sqlite';
import type { Clock } from '@mcfleet/common/clock';
import { refusal } from '../errors.ts';
import type { RememberedRequest } from './store.ts';

/** How long a request id is remembered. */
const KEPT_MS = 24 * 60 * 60 * 1000;
/** The most request ids that are remembered: more than one each second of a day. */
const MAX_REQUESTS = 100_000;

/** The table of answered requests, which makes repeated calls harmless. */
export class SqliteRequests {
  readonly #clock: Clock;
  readonly #select: StatementSync;
  readonly #insert: StatementSync;
  readonly #expire: StatementSync;
  #count: number;

  constructor(database: DatabaseSync, clock: Clock) {
    this.#clock = clock;
    this.#select = database.prepare('SELECT body_hash, response FROM requests WHERE id = ? AND create_time_ms > ?');
    this.#insert = database.prepare(
      'INSERT OR REPLACE INTO requests (id, body_hash, response, create_time_ms) VALUES (?, ?, ?, ?)',
    );
    this.#expire = database.prepare('DELETE FROM requests WHERE create_time_ms <= ?');
    this.#count = Number(database.prepare('SELECT count(*) AS count FROM requests').get()?.count);
  }

  find(id: string): RememberedRequest | undefined {
    const row = this.#select.get(id, this.#clock.now() - KEPT_MS);
    if (row === undefined) return undefined;
    return { bodyHash: row.body_hash as Uint8Array, response: row.response as Uint8Array };
  }

  /** @throws FleetError REQUEST_ID_LIMIT before anything is written, if there is no room for `count` more */
  assertRoom(count: number): void {
    if (count === 0 || this.#count + count <= MAX_REQUESTS) return;
    const message = `${MAX_REQUESTS} request ids of the last 24 hours are remembered already: call without request_id`;
    throw refusal('REQUEST_ID_LIMIT', message);
  }

  insert(requests: readonly (readonly [string, RememberedRequest])[]): void {
    if (requests.length === 0) return;
    const now = this.#clock.now();
    this.#count -= Number(this.#expire.run(now - KEPT_MS).changes);
    for (const [id, { bodyHash, response }] of requests) {
      this.#insert.run(id, bodyHash, response, now);
      this.#count += 1;
    }
  }

  /** What takes back what a rolled back transaction did. */
  mark(): () => void {
    const count = this.#count;
    return () => {
      this.#count = count;
    };
  }
}
