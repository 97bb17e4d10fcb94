import { lstat, rename, unlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { status } from '@grpc/grpc-js';
import { makeDirectory } from '../directory.ts';
import { FleetError } from '../error.ts';

/** A server that has bound its socket listens within microseconds; this is ample, and short against a start. */
const BIND_TO_LISTEN_MS = 10;

/**
 * Makes room for a unix socket at `path`: creates its directory (mode 0700), and removes a socket that a dead process left behind.
 *
 * @throws FleetError FAILED_PRECONDITION, reason ADDRESS_IN_USE, if a live process listens there, PATH_OCCUPIED if there is
 * something other than a socket, or NO_DIRECTORY if its directory cannot be made
 */
export async function claimSocketPath(path: string): Promise<void> {
  try {
    makeDirectory(dirname(path));
  } catch (error) {
    const { message } = error as NodeJS.ErrnoException;
    throw refusal(
      'NO_DIRECTORY',
      `cannot make the directory of the socket ${path}: ${message}; choose another path`,
      path,
    );
  }
  const found = await lstat(path).catch(ignoreMissing);
  if (found === undefined) return;
  if (!found.isSocket()) {
    throw refusal('PATH_OCCUPIED', `${path} exists and is not a socket; remove it or choose another path`, path);
  }
  if (await isAlive(path)) throw inUse(path);
  // Another process may claim the same path at this moment. What is moved away is looked at again, so that its new socket survives.
  const aside = `${path}.${process.pid}.stale`;
  await rename(path, aside).catch(ignoreMissing);
  if (await isAlive(aside)) {
    await rename(aside, path);
    throw inUse(path);
  }
  await unlink(aside).catch(ignoreMissing);
}

async function isAlive(path: string): Promise<boolean> {
  if (await accepts(path)) return true;
  await sleep(BIND_TO_LISTEN_MS);
  return accepts(path);
}

function accepts(path: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    const socket = connect(path);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', (error: NodeJS.ErrnoException) => {
      if (error.code === 'ECONNREFUSED' || error.code === 'ENOENT') resolve(false);
      // The queue of a busy server is full.
      else if (error.code === 'EAGAIN') resolve(true);
      else reject(error);
    });
  });
}

function ignoreMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== 'ENOENT') throw error;
}

function inUse(path: string): FleetError {
  return refusal(
    'ADDRESS_IN_USE',
    `the socket ${path} belongs to another live process; stop that one or choose another path`,
    path,
  );
}

function refusal(reason: string, message: string, path: string): FleetError {
  return new FleetError({ code: status.FAILED_PRECONDITION, reason, message, metadata: { path } });
}
