import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { refusal } from '../errors.ts';

/** Tells which cluster a data directory belongs to, also when its store is gone. */
const CLUSTER_FILE = 'cluster.json';
/** A controller that did not end in order leaves it (see Controller); older ones wrote nothing else that lasts. */
const LISTENING_FILE = 'controller.json';
/** Of an SQLite file: the smallest page, which begins with the header (sqlite.org/fileformat.html, 1.3). */
export const SMALLEST_STORE_BYTES = 512;

/**
 * Keeps a store that was lost from being taken for a new one: another cluster would begin under the same address, and every host
 * would be asked to give up what it forwards.
 *
 * @throws FleetError STORE_LOST if the data directory shows an earlier cluster and its store is missing or empty
 */
export function assertNotLost(dataDir: string): void {
  const file = join(dataDir, 'store.db');
  const size = fileSize(file);
  if (size !== undefined && size > 0) return;
  const wal = `${file}-wal`;
  const evidence = earlierCluster(dataDir) ?? ((fileSize(wal) ?? 0) > 0 ? wal : undefined);
  if (evidence !== undefined) throw lost(dataDir, size === undefined ? 'is missing' : 'is empty (0 bytes)', evidence);
}

/** @throws FleetError STORE_LOST if the data directory shows an earlier cluster; for a store that nothing was ever written to */
export function assertMayBeNew(dataDir: string): void {
  const evidence = earlierCluster(dataDir);
  if (evidence !== undefined) throw lost(dataDir, 'holds nothing', evidence);
}

/**
 * Leaves the name of the cluster beside its store. Durable and atomic, as the store is.
 *
 * @throws NodeJS.ErrnoException if it cannot be written
 */
export function rememberCluster(dataDir: string, clusterUid: string): void {
  const file = join(dataDir, CLUSTER_FILE);
  const text = `${JSON.stringify({ cluster: clusterUid })}\n`;
  if (fileSize(file) !== undefined && readFileSync(file, 'utf8') === text) return;
  const draft = `${file}.new`;
  try {
    inFile(draft, 'w', (fd) => {
      writeSync(fd, text);
      fsyncSync(fd);
    });
    renameSync(draft, file);
  } catch (thrown) {
    rmSync(draft, { force: true });
    throw thrown;
  }
  inFile(dataDir, 'r', fsyncSync);
}

function earlierCluster(dataDir: string): string | undefined {
  return [CLUSTER_FILE, LISTENING_FILE].map((name) => join(dataDir, name)).find((path) => fileSize(path) !== undefined);
}

function lost(dataDir: string, how: string, evidence: string): Error {
  const file = join(dataDir, 'store.db');
  // SQLite would apply it to whatever store stands beside it.
  const first = fileSize(`${file}-wal`) === undefined ? '' : `move ${file}-wal aside and `;
  const message =
    `the store ${file} ${how}, though ${evidence} shows that a cluster was served from here; nothing was changed: ` +
    `${first}restore the store from a backup, or move all of ${dataDir} aside to begin a new cluster with an empty store`;
  return refusal('STORE_LOST', message, { metadata: { file } });
}

function inFile(path: string, flags: 'w' | 'r', work: (fd: number) => void): void {
  const fd = openSync(path, flags, 0o600);
  try {
    work(fd);
  } finally {
    closeSync(fd);
  }
}

/** Undefined if there is no such file. */
export function fileSize(path: string): number | undefined {
  return statSync(path, { throwIfNoEntry: false })?.size;
}
