import { randomBytes } from 'node:crypto';
import { readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { makeDirectory } from '@mcfleet/common/directory';
import { FleetError } from '@mcfleet/common/error';
import { uuidv7 } from '@mcfleet/common/uuid';
import { refusal } from '../errors.ts';
import { assertMayBeNew, assertNotLost, fileSize, SMALLEST_STORE_BYTES } from './earlier-cluster.ts';
import { APPLICATION_ID, createSchema, SCHEMA_VERSION, startNewTerm, upgradeSchema } from './schema.ts';
import { SqliteCode, sqliteCode } from './sqlite-code.ts';

/** How long to wait for a controller that is just ending, in milliseconds. */
const BUSY_TIMEOUT_MS = 1000;
/** SQLite takes its locks from this byte on (os_unix.c, PENDING_BYTE). */
const FIRST_LOCK_BYTE = 0x40000000;

/**
 * Opens the store of a data directory, making both if they are not there, and keeps everybody else out until the process ends,
 * however it ends.
 *
 * @param isRestored it is a copy from before: see `startNewTerm`.
 * @throws FleetError STORE_IN_USE, STORE_CORRUPT, STORE_LOST, STORE_TOO_NEW, STORE_FULL or DATA_DIR_UNUSABLE
 */
export function openDatabase(dataDir: string, isRestored: boolean): DatabaseSync {
  const file = join(dataDir, 'store.db');
  try {
    makeDirectory(dataDir);
    // Before SQLite sees it: beside an empty file it deletes the WAL.
    assertNotLost(dataDir);
    const size = fileSize(file) ?? 0;
    if (!statSync(file, { throwIfNoEntry: false })?.isFile() && size > 0) throw corrupt(file, 'it is not a file');
    if (size > 0 && size < SMALLEST_STORE_BYTES) throw corrupt(file, `it ends within its header, after ${size} bytes`);
    return open(file, size === 0 || inspectReadOnly(file), isRestored);
  } catch (thrown) {
    throw explain(thrown, dataDir, file);
  }
}

/**
 * Looks at the file without being able to change it: a damaged one is left as it is. False if that cannot be done, because a
 * reader's index of the WAL needs a file of its own and the disk is full.
 */
function inspectReadOnly(file: string): boolean {
  const database = new DatabaseSync(file, { readOnly: true, timeout: BUSY_TIMEOUT_MS });
  try {
    inspect(database, file);
    return true;
  } catch (thrown) {
    const code = sqliteCode(thrown);
    if (code === SqliteCode.IO_ERROR || code === SqliteCode.FULL) return false;
    throw thrown;
  } finally {
    database.close();
  }
}

function inspect(database: DatabaseSync, file: string): void {
  const applicationId = pragma(database, 'application_id');
  if (applicationId !== APPLICATION_ID && Number(pragma(database, 'schema_version')) > 0) {
    throw corrupt(file, 'it is an SQLite file of another program');
  }
  const version = Number(pragma(database, 'user_version'));
  if (version > SCHEMA_VERSION) {
    const message = `${file} was written by a newer version of mcfleet (schema ${version}, this one knows ${SCHEMA_VERSION}): use that version`;
    throw refusal('STORE_TOO_NEW', message);
  }
  if (version === 0) assertMayBeNew(dirname(file));
  const found = pragma(database, 'quick_check(1)');
  if (found !== 'ok') throw corrupt(file, String(found).replaceAll(/\s+/g, ' '));
}

function open(file: string, isInspected: boolean, isRestored: boolean): DatabaseSync {
  const database = new DatabaseSync(file, { timeout: BUSY_TIMEOUT_MS, enableForeignKeyConstraints: true });
  try {
    // With the WAL's index in memory, and one fcntl lock on the file that the kernel drops with the process.
    database.exec('PRAGMA locking_mode = EXCLUSIVE');
    if (!isInspected) inspect(database, file);
    database.exec('PRAGMA journal_mode = WAL');
    // An acknowledged write survives a power cut: WAL alone would only sync at checkpoints.
    database.exec('PRAGMA synchronous = FULL');
    database.exec('PRAGMA journal_size_limit = 67108864');
    database.exec('BEGIN IMMEDIATE');
    const version = Number(pragma(database, 'user_version'));
    if (version === 0) createSchema(database, uuidv7(), randomBytes(32));
    else if (version < SCHEMA_VERSION) upgradeSchema(database, version);
    if (isRestored) startNewTerm(database);
    database.exec('COMMIT');
    return database;
  } catch (thrown) {
    database.close();
    throw thrown;
  }
}

function pragma(database: DatabaseSync, name: string): unknown {
  return Object.values(database.prepare(`PRAGMA ${name}`).get() ?? {})[0];
}

function explain(thrown: unknown, dataDir: string, file: string): FleetError {
  if (thrown instanceof FleetError) return thrown;
  const cause = thrown instanceof Error ? thrown : new Error(String(thrown));
  switch (sqliteCode(thrown)) {
    case SqliteCode.BUSY: {
      const pid = lockHolder(file);
      const who = pid === undefined ? 'another controller' : `another controller (pid ${pid})`;
      const message = `${who} uses the data directory ${dataDir}: stop that one, or give this one another --data-dir`;
      return refusal('STORE_IN_USE', message, { cause, metadata: pid === undefined ? {} : { pid: String(pid) } });
    }
    case SqliteCode.CORRUPT:
    case SqliteCode.NOT_A_DATABASE:
      return corrupt(file, cause.message);
    case SqliteCode.FULL:
      return refusal('STORE_FULL', `the disk of ${dataDir} is full: make space`, { cause });
    default:
      return refusal(
        'DATA_DIR_UNUSABLE',
        `cannot use the data directory ${dataDir}: ${cause.message}; make it a directory that this user may write, or give another --data-dir`,
        { cause },
      );
  }
}

/** The error for a file that cannot be read as a store. */
export function corrupt(file: string, why: string): FleetError {
  const message = `the store ${file} is damaged (${why}) and was left as it is: move its -wal file aside and restore it from a backup, or move all of ${dirname(file)} aside to begin a new cluster with an empty store`;
  return refusal('STORE_CORRUPT', message, { metadata: { file } });
}

/** The process that has SQLite's lock on a file, as the kernel tells it in /proc/locks (proc_locks(5)). */
function lockHolder(file: string): number | undefined {
  const inode = statSync(file, { throwIfNoEntry: false })?.ino;
  let table: string;
  try {
    table = readFileSync('/proc/locks', 'utf8');
  } catch {
    // Without /proc the message names no pid.
    return undefined;
  }
  for (const line of table.split('\n')) {
    const [, , , , pid, device, start] = line.replace('-> ', '').trim().split(/\s+/);
    if (Number(device?.split(':')[2]) === inode && Number(start) >= FIRST_LOCK_BYTE && Number(pid) > 0)
      return Number(pid);
  }
  return undefined;
}
