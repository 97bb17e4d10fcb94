import { accessSync, constants, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { status } from '@grpc/grpc-js';
import { makeDirectory } from '@mcfleet/common/directory';
import { FleetError } from '@mcfleet/common/error';

/** SQLite's result codes (sqlite3.h), which `errcode` of its errors carries; the low byte is the primary one. */
const SQLITE_BUSY = 5;
const SQLITE_CANTOPEN = 14;
const SQLITE_READONLY = 8;

/** Holds a state directory for this process. */
export interface StateLock {
  /** Why the directory is used without a lock; empty if it is locked. */
  readonly warning: string;
  release(): void;
}

/**
 * Takes a state directory for this process alone.
 *
 * The lock is that of an empty SQLite database: a lock of the kernel (fcntl), which ends with the process however it ends, so
 * that nothing is left over after kill -9 and no process id has to be guessed alive or dead. Needs no free disk space. A file
 * system that has become read-only (a disk that fails does that) cannot be locked; it can be read, and forwarding from it at boot
 * is worth more than the lock.
 *
 * @throws FleetError FAILED_PRECONDITION: STATE_DIR_IN_USE if another agent runs on it, STATE_DIR_UNUSABLE if it cannot be written.
 */
export function lockStateDirectory(directory: string): StateLock {
  let database: DatabaseSync;
  try {
    makeDirectory(directory);
    database = new DatabaseSync(join(directory, 'agent.lock'), { timeout: 0 });
  } catch (thrown) {
    if (isReadOnlyFileSystem(directory))
      return { warning: `${directory} is on a read-only file system`, release: () => {} };
    throw unusable(directory, thrown);
  }
  try {
    // No journal file: nothing is ever written, and there may be no space for one.
    database.exec('PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE');
  } catch (thrown) {
    database.close();
    if (primaryCode(thrown) === SQLITE_BUSY) throw inUse(directory);
    throw unusable(directory, thrown);
  }
  writePid(directory);
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
function writePid(directory: string): void {
  try {
    writeFileSync(join(directory, 'agent.pid'), `${process.pid}\n`, { mode: 0o600 });
  } catch (thrown) {
    if (!(thrown instanceof Error && 'code' in thrown)) throw thrown;
  }
}

function readPid(directory: string): string {
  try {
    const pid = Number.parseInt(readFileSync(join(directory, 'agent.pid'), 'utf8'), 10);
    return Number.isInteger(pid) ? ` (process ${pid})` : '';
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown) return '';
    throw thrown;
  }
}

function inUse(directory: string): FleetError {
  return new FleetError({
    code: status.FAILED_PRECONDITION,
    reason: 'STATE_DIR_IN_USE',
    message: `another agent${readPid(directory)} uses the state directory ${directory}; stop it, or give this one another --state-dir`,
  });
}

function unusable(directory: string, cause: unknown): FleetError {
  const detail = cause instanceof Error ? cause.message : String(cause);
  const code = primaryCode(cause);
  const hint =
    code === SQLITE_CANTOPEN || code === SQLITE_READONLY ? 'it cannot be written' : 'it cannot be made or locked';
  return new FleetError({
    code: status.FAILED_PRECONDITION,
    reason: 'STATE_DIR_UNUSABLE',
    message: `cannot use the state directory ${directory}: ${hint} (${detail}); make it writable, or give another --state-dir`,
    cause,
  });
}

function primaryCode(thrown: unknown): number | undefined {
  return thrown instanceof Error && 'errcode' in thrown && typeof thrown.errcode === 'number'
    ? thrown.errcode & 0xff
    : undefined;
}
