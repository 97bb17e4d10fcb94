import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { status } from '@grpc/grpc-js';
import { makeDirectory } from '@mcfleet/common/directory';
import { FleetError } from '@mcfleet/common/error';

/** SQLite's result codes (sqlite3.h), which `errcode` of its errors carries; the low byte is the primary one. */
const SQLITE_BUSY = 5;
const SQLITE_CANTOPEN = 14;
const SQLITE_READONLY = 8;

/** What only one agent may use at a time. */
export interface LockedThing {
  /** An empty file that carries the lock. Its directory is made. */
  readonly lockFile: string;
  /** Tells the process of the lock to whoever finds it taken. */
  readonly pidFile: string;
  /** What it is, for people: "the state directory /var/lib/mcfleet/agent". */
  readonly what: string;
  /** The option that names another one. */
  readonly option: string;
  /** Of the error if another agent has it. */
  readonly inUseReason: string;
  /** Of the error if it cannot be locked. */
  readonly unusableReason: string;
}

/** Holds something for this process. */
export interface ProcessLock {
  /** Why it is used without a lock; empty if it is locked. */
  readonly warning: string;
  release(): void;
}

/**
 * Takes something for this process alone.
 *
 * The lock is that of an empty SQLite database: a lock of the kernel (fcntl), which ends with the process however it ends, so
 * that nothing is left over after kill -9 and no process id has to be guessed alive or dead. Needs no free disk space. A file
 * system that has become read-only (a disk that fails does that) cannot be locked; it can be read, and forwarding is worth more
 * than the lock.
 *
 * @throws FleetError FAILED_PRECONDITION with the reasons of `thing`.
 */
export function takeProcessLock(thing: LockedThing): ProcessLock {
  const directory = dirname(thing.lockFile);
  let database: DatabaseSync;
  try {
    makeDirectory(directory);
    database = new DatabaseSync(thing.lockFile, { timeout: 0 });
  } catch (thrown) {
    if (isReadOnlyFileSystem(directory))
      return { warning: `${directory} is on a read-only file system`, release: () => {} };
    throw unusable(thing, thrown);
  }
  try {
    // No journal file: nothing is ever written, and there may be no space for one.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (thrown) {
    database.close();
    if (primaryCode(thrown) === SQLITE_BUSY) throw inUse(thing);
    throw unusable(thing, thrown);
  }
  writePid(thing.pidFile);
  return { warning: '', release: () => database.close() };
}

function isReadOnlyFileSystem(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return false;
  } catch (thrown) {
    return thrown instanceof Error && 'code' in thrown && thrown.code === 'EROFS';
  }
}

/** For the message to whoever starts a second agent; nothing depends on it, and a full disk must not keep the agent from running. */
function writePid(pidFile: string): void {
  try {
    writeFileSync(pidFile, `${process.pid}\n`, { mode: 0o600 });
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown)) throw thrown;
  }
}

function readPid(pidFile: string): string {
  try {
    const pid = Number.parseInt(readFileSync(pidFile, 'utf8'), 10);
    return Number.isInteger(pid) ? ` (process ${pid})` : '';
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown) return '';
    throw thrown;
  }
}

function inUse({ what, option, pidFile, inUseReason }: LockedThing): FleetError {
  return new FleetError({
    code: status.FAILED_PRECONDITION,
    reason: inUseReason,
    message: `another agent${readPid(pidFile)} uses ${what}; stop it, or give this one another ${option}`,
  });
}

function unusable({ what, option, unusableReason }: LockedThing, cause: unknown): FleetError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  const code = primaryCode(cause);
  const hint =
    code === SQLITE_CANTOPEN || code === SQLITE_READONLY ? 'it cannot be written' : 'it cannot be made or locked';
  return new FleetError({
    code: status.FAILED_PRECONDITION,
    reason: unusableReason,
    message: `cannot use ${what}: ${hint} (${detail}); make it writable, or give another ${option}`,
    cause,
  });
}

function primaryCode(thrown: unknown): number | undefined {
  return thrown instanceof Error && 'errcode' in thrown && typeof thrown.errcode === 'number'
    ? thrown.errcode & 0xff
    : undefined;
}
