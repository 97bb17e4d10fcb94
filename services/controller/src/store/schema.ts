import type { DatabaseSync } from 'node:sqlite';

/** PRAGMA application_id of our files: "MCFL". */
export const APPLICATION_ID = 0x4d43464c;
/** PRAGMA user_version: rises when the schema changes. */
export const SCHEMA_VERSION = 2;

/** What hosts told and what was made of it: no intent. Since version 2. */
const OBSERVATIONS = `
  CREATE TABLE observations (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (kind, key)
  ) STRICT, WITHOUT ROWID;
`;

const SCHEMA = `
  -- One row: what the store is, and how far it has come.
  CREATE TABLE state (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    cluster_uid TEXT NOT NULL,
    term INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    compacted_revision INTEGER NOT NULL,
    token_key BLOB NOT NULL
  ) STRICT;

  -- What is, as protobuf.
  CREATE TABLE objects (
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    revision INTEGER NOT NULL,
    value BLOB NOT NULL,
    PRIMARY KEY (kind, key)
  ) STRICT, WITHOUT ROWID;

  -- What happened, for watches that resume. Bounded: the oldest are deleted, up to compacted_revision.
  CREATE TABLE changes (
    revision INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    kind TEXT NOT NULL,
    key TEXT NOT NULL,
    before BLOB,
    after BLOB,
    PRIMARY KEY (revision, ordinal)
  ) STRICT;

  -- Answers to requests with a request id.
  CREATE TABLE requests (
    id TEXT PRIMARY KEY,
    body_hash BLOB NOT NULL,
    response BLOB NOT NULL,
    create_time_ms INTEGER NOT NULL
  ) STRICT, WITHOUT ROWID;
  CREATE INDEX requests_by_time ON requests (create_time_ms);
`;

/** More revisions than are written between a copy of the store and its restoration. */
const REVISIONS_LEFT_OUT = 1_000_000_000;

/**
 * Makes the store that of a higher term, beyond every revision that hosts and watches may know from the time after the copy: hosts
 * take what it says, watches begin anew, and a controller that still runs on the other store is refused by the hosts. To be called
 * in a transaction.
 */
export function startNewTerm(database: DatabaseSync): void {
  database.exec('DELETE FROM changes');
  // What hosts carry out may have changed since the copy was made.
  database.exec("DELETE FROM observations WHERE kind IN ('instance', 'result')");
  database.exec(
    `UPDATE state SET term = term + 1, revision = revision + ${REVISIONS_LEFT_OUT}, ` +
      `compacted_revision = revision + ${REVISIONS_LEFT_OUT}`,
  );
}

/** Lays out a new store. To be called in a transaction. */
export function createSchema(database: DatabaseSync, clusterUid: string, tokenKey: Uint8Array): void {
  database.exec(SCHEMA);
  database.exec(OBSERVATIONS);
  database
    .prepare(
      'INSERT INTO state (id, cluster_uid, term, revision, compacted_revision, token_key) VALUES (1, ?, 1, 0, 0, ?)',
    )
    .run(clusterUid, tokenKey);
  database.exec(`PRAGMA application_id = ${APPLICATION_ID}`);
  database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
}

/** Brings the store of an earlier version up to this one; nothing that it holds changes. To be called in a transaction. */
export function upgradeSchema(database: DatabaseSync, version: number): void {
  if (version < 2) database.exec(OBSERVATIONS);
  database.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
}
