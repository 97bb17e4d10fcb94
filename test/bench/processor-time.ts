import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, in which /proc counts; 100 on every architecture that Linux gives to programs today. */
const TICKS_PER_SECOND = 100;

/** What the cores of this machine did since it started. */
export interface MachineTime {
  readonly cores: number;
  /**
   * Seconds over all cores that nobody wanted. The kernel takes them exactly, at the beginning and the end of each idleness; the time of programs
   * in the same line it counts by looking who runs at each tick, which in a tenth of a second is off by some hundredths.
   */
  readonly idle: number;
}

/** Reads the lines of the cores in /proc/stat (proc_stat(5)). */
export function parseMachineTime(stat: string): MachineTime {
  const [, , , idle = 0, iowait = 0] = (/^cpu +(.*)$/m.exec(stat)?.[1] ?? '').split(' ').map(Number);
  return { cores: stat.match(/^cpu\d+ /gm)?.length ?? 0, idle: (idle + iowait) / TICKS_PER_SECOND };
}

/**
 * Reads /proc/PID/stat (proc_pid_stat(5)): seconds of all threads, also of those that have ended; work for the network that the kernel did
 * on its time is included.
 *
 * @param withChildren also what its ended children used.
 */
export function parseProcessTime(stat: string, withChildren = false): number {
  // The name may hold anything, also blanks and parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const at = (number: number): number => Number(fields[number - 3]);
  const ticks = at(14) + at(15) + (withChildren ? at(16) + at(17) : 0);
  return ticks / TICKS_PER_SECOND;
}

/** Reads VmRSS of /proc/PID/status, in bytes. */
export function parseResidentBytes(status: string): number {
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1] ?? Number.NaN) * 1024;
}

export const machineTime = (): MachineTime => parseMachineTime(readFileSync('/proc/stat', 'utf8'));

export function processTime(pids: readonly number[]): number {
  return pids.reduce(
    (sum, pid) => sum + parseProcessTime(readFileSync(`/proc/${pid}/stat`, 'utf8'), pid === process.pid),
    0,
  );
}

export function residentBytes(pids: readonly number[]): number {
  return pids.reduce((sum, pid) => sum + parseResidentBytes(readFileSync(`/proc/${pid}/status`, 'utf8')), 0);
}

/** The kernel threads that do the network's work when there is too much of it for interrupts. */
export function softirqThreads(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => commandOf(pid).startsWith('ksoftirqd/'))
    .map(Number);
}

/** Empty if it has ended meanwhile. */
function commandOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, 'utf8');
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ESRCH')) return '';
    throw error;
  }
}
