import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { commandSync } from './command.ts';
import { isGone, isLeftOver, type LabId, labOfNamespace, labVariable } from './lab-id.ts';

const namespaceDirectory = '/run/netns';

/** A process that carries a lab's mark or lives in one of its namespaces. */
interface LabProcessFound {
  readonly pid: number;
  readonly lab: LabId;
}

/**
 * Removes what runs that were killed have left: processes by pid, then namespaces, and with them their interfaces.
 *
 * @returns the ids of the labs that were removed.
 */
export function removeLeftovers(): LabId[] {
  const ids = new Set([
    ...markedProcesses().map((found) => found.lab),
    ...labNamespaces().map((found) => found.lab),
    ...labDirectories().map((found) => found.lab),
  ]);
  const leftOver = [...ids].filter((id) => isLeftOver(id));
  for (const id of leftOver) removeLab(id);
  return leftOver;
}

/**
 * Ends every process of one lab and removes its namespaces and files. Never fails because something has gone already.
 *
 * @throws Error if a process or namespace stays.
 */
export function removeLab(id: LabId): void {
  // A process may start another while it is being ended: look again until none is found.
  for (let round = 0; ; round += 1) {
    const found = processesOf(id);
    if (found.length === 0) break;
    if (round === 100) throw new Error(`processes ${found.join(', ')} of lab ${id} do not end`);
    for (const pid of found) kill(pid);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20);
  }
  for (const { name } of labNamespaces().filter((found) => found.lab === id)) {
    const result = commandSync(['ip', 'netns', 'delete', name]);
    const stays = labNamespaces().some((found) => found.name === name);
    if (result.code !== 0 && stays) throw new Error(`namespace ${name} cannot be removed: ${result.stderr.trim()}`);
  }
  for (const { path } of labDirectories().filter((found) => found.lab === id))
    rmSync(path, { recursive: true, force: true });
}

/** Whether anything of a lab is there. */
export function labExists(id: LabId): boolean {
  return labNamespaces().some((found) => found.lab === id) || markedProcesses().some((found) => found.lab === id);
}

/** Pids of the processes that carry the mark of a lab. */
export function markedPids(id: LabId): number[] {
  return markedProcesses()
    .filter((found) => found.lab === id)
    .map((found) => found.pid);
}

/** Where a lab keeps files of its processes. */
export function labDirectory(id: LabId): string {
  return `/tmp/mcfleet-lab-${id}`;
}

function labDirectories(): { path: string; lab: LabId }[] {
  return readdirSync('/tmp').flatMap((name) => {
    const lab = /^mcfleet-lab-(?<id>[0-9a-z-]+)$/.exec(name)?.groups?.id;
    return lab === undefined ? [] : [{ path: `/tmp/${name}`, lab }];
  });
}

function labNamespaces(): { name: string; lab: LabId }[] {
  return entries(namespaceDirectory).flatMap((name) => {
    const lab = labOfNamespace(name);
    return lab === undefined ? [] : [{ name, lab }];
  });
}

function entries(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch (error) {
    // The first namespace makes the directory.
    if (isGone(error)) return [];
    throw error;
  }
}

/** By the mark in their environment and by their namespace: a program may clear its environment, or be started by hand. */
function processesOf(id: LabId): number[] {
  const pids = new Set(markedPids(id));
  for (const { name } of labNamespaces().filter((found) => found.lab === id)) {
    const listed = commandSync(['ip', 'netns', 'pids', name]);
    for (const pid of listed.stdout.split('\n').filter((line) => line !== '')) pids.add(Number(pid));
  }
  pids.delete(process.pid);
  return [...pids];
}

function markedProcesses(): LabProcessFound[] {
  const found: LabProcessFound[] = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry) || Number(entry) === process.pid) continue;
    const lab = markOf(Number(entry));
    if (lab !== undefined) found.push({ pid: Number(entry), lab });
  }
  return found;
}

function markOf(pid: number): LabId | undefined {
  try {
    // Empty for one that has ended and waits for its parent.
    const environment = readFileSync(`/proc/${pid}/environ`, 'utf8').split('\0');
    return environment.find((line) => line.startsWith(`${labVariable}=`))?.slice(labVariable.length + 1);
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    // Other users' processes are none of ours.
    if (isGone(error) || code === 'EACCES' || code === 'EPERM') return undefined;
    throw error;
  }
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
