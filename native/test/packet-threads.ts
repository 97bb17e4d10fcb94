import { readdirSync, readFileSync } from 'node:fs';

/** One thread of a process (proc_pid_stat(5)). */
export interface Thread {
  readonly id: string;
  readonly name: string;
  /** "R" runs or wants to, "S" sleeps, "T" is stopped. */
  readonly state: string;
}

/** Numbers of system calls by what a packet thread does in them (asm/unistd_64.h, asm-generic/unistd.h). */
const CALLS: Readonly<Record<string, Readonly<Record<string, PacketThreadState>>>> = {
  x64: { '7': 'sleeps', '271': 'sleeps', '35': 'naps', '230': 'naps' },
  arm64: { '73': 'sleeps', '101': 'naps', '115': 'naps' },
};

/** `sleeps` until there is something to do; `naps` for a moment, also while packets lie in its rings. */
export type PacketThreadState = 'sleeps' | 'naps' | 'works';

export function threadsOf(pid: number): Thread[] {
  const tasks = `/proc/${pid}/task`;
  return readdirSync(tasks).map((id) => {
    const [, name = '', state = ''] = /^\d+ \((.*)\) (\S)/s.exec(readFileSync(`${tasks}/${id}/stat`, 'utf8')) ?? [];
    return { id, name, state };
  });
}

export function packetThreadsOf(pid: number): Thread[] {
  return threadsOf(pid).filter(({ name }) => name.startsWith('mcf-forward'));
}

/** What it waits for (proc_pid_syscall(5)), which its state alone does not tell. */
export function stateOfPacketThread(pid: number, { id }: Thread): PacketThreadState {
  const [call = ''] = readFileSync(`/proc/${pid}/task/${id}/syscall`, 'utf8').split(' ');
  return CALLS[process.arch]?.[call] ?? 'works';
}

/** Whether every packet thread of a forwarder sleeps: then there is nothing in its rings, and nothing under way. */
export function packetThreadsSleep(pid: number): boolean {
  return packetThreadsOf(pid).every((thread) => stateOfPacketThread(pid, thread) === 'sleeps');
}

/** How often it gave its processor away because it had to wait (proc_pid_status(5)): each sleep and each nap is one. */
export function waitsOf(pid: number, { id }: Thread): number {
  const status = readFileSync(`/proc/${pid}/task/${id}/status`, 'utf8');
  return Number(/^voluntary_ctxt_switches:\s*(\d+)$/m.exec(status)?.[1]);
}
