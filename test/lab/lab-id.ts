import { readFileSync } from 'node:fs';

/**
 * Says whose a namespace or process is. "<pid>-<start time>-<number>" belongs to the process with that pid, and only as long as that
 * process lives: a pid that was given to another process since has another start time. A word, for example "demo", belongs to nobody
 * and stays until somebody removes it by that word.
 */
export type LabId = string;

/** Environment variable that every process of a lab carries, and so do its children. */
export const labVariable = 'MCFLEET_LAB';

const namespacePrefix = 'mcfleet';
const ownedPattern = /^(?<pid>\d+)-(?<start>[0-9a-z]+)-\d+$/;
const namespacePattern = /^mcfleet-(?<id>\d+-[0-9a-z]+-\d+|[a-z]+)\.(?<name>[a-z0-9-]+)$/;

let labsMade = 0;

/** An id for a lab of this process. */
export function newLabId(): LabId {
  labsMade += 1;
  return `${process.pid}-${startTime(process.pid)}-${labsMade}`;
}

/** The name in /run/netns of a lab's namespace. */
export function namespaceName(id: LabId, name: string): string {
  return `${namespacePrefix}-${id}.${name}`;
}

/** Whose a namespace is; `undefined` if it is not of a lab. */
export function labOfNamespace(namespace: string): LabId | undefined {
  return namespacePattern.exec(namespace)?.groups?.id;
}

/**
 * Whether the process that a lab belonged to is gone.
 *
 * @param start when a process was started, by pid; `undefined` if there is none. Given in tests.
 */
export function isLeftOver(id: LabId, start: (pid: number) => string | undefined = startTime): boolean {
  const owner = ownedPattern.exec(id)?.groups;
  if (owner?.pid === undefined) return false;
  return start(Number(owner.pid)) !== owner.start;
}

/** When a process was started, in base 36; `undefined` if there is none. Differs for every process that ever has this pid. */
function startTime(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    if (isGone(error)) return undefined;
    throw error;
  }
  // proc_pid_stat(5): field 2 is the name in brackets and may hold anything; field 22 is the start time in clock ticks since boot.
  const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19];
  if (ticks === undefined) throw new Error(`/proc/${pid}/stat has no start time: ${stat}`);
  return Number(ticks).toString(36);
}

/** Whether reading something below /proc/<pid> failed because the process has ended. */
export function isGone(error: unknown): boolean {
  const code = (error as NodeJS.ErrnoException).code;
  return code === 'ENOENT' || code === 'ESRCH';
}
