import { readdirSync, readFileSync } from 'node:fs';

/** One thread of a process (proc_pid_stat(5)). */
export interface Thread {
  readonly name: string;
  /** "R" runs or wants to, "S" sleeps, "T" is stopped. */
  readonly state: string;
}

export function threadsOf(pid: number): Thread[] {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).map((id) => {
    const [, name = '', state = ''] = /^\d+ \((.*)\) (\S)/s.exec(readFileSync(`${tasks}/${id}/stat`, 'utf8')) ?? [];
    return { name, state };
  });
}

/** Whether every packet thread of a forwarder sleeps: then there is nothing in its rings, and nothing under way. */
export function packetThreadsSleep(pid: number): boolean {
  return threadsOf(pid).every(({ name, state }) => !name.startsWith('mcf-forward') || state === 'S');
}
