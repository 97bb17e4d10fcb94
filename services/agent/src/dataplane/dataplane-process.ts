import { type ChildProcess, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { connect, Socket } from 'node:net';
import type { Exit } from './respawn.ts';

/** Characters of what a data plane says of why it cannot start. */
const MAX_SAID = 2_000;

/** How a data plane is started: `command dataplane --socket PATH [OPTION...]`. */
export interface StartedDataplane {
  readonly pid: number | undefined;
  /** Resolves when it has ended, or could not be started (then with the error). Never rejects. */
  readonly ended: Promise<Exit | Error>;
  kill(signal: NodeJS.Signals): void;
}

/**
 * Starts a data plane in a session of its own: neither the end of the agent, nor a Ctrl-C at its terminal, reaches it. Its log
 * goes where the agent's goes, to stderr.
 *
 * @param launcher the program that starts mcfleet's programs: services are started by path, they never import one another.
 * @param options more arguments
 */
export function startDataplane(launcher: string, socketPath: string, options: readonly string[]): StartedDataplane {
  const child: ChildProcess = spawn(launcher, ['dataplane', '--socket', socketPath, ...options], {
    detached: true,
    // What it would print goes nowhere: whoever reads the agent's output in a pipe shall not wait for the data plane to end too.
    stdio: ['ignore', 'ignore', 'inherit', 'pipe'],
    env: { ...process.env, MCFLEET_FAILURE_FD: '3' },
  });
  const { promise, resolve } = Promise.withResolvers<Exit | Error>();
  const said = hear(child.stdio[3]);
  child.once('error', resolve);
  // Not before what it said is read.
  child.once('close', (code, signal) => resolve({ code, signal, said: said() }));
  child.unref();
  return { pid: child.pid, ended: promise, kill: (signal) => void child.kill(signal) };
}

/** What a data plane that cannot start says at the descriptor that it is given for this; it closes that when it has started. */
function hear(stream: ChildProcess['stdio'][3]): () => string {
  let said = '';
  // spawn() makes a socket of each 'pipe'.
  if (stream instanceof Socket) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      said = `${said}${text}`.slice(0, MAX_SAID);
    });
    // The data plane that wrote there is gone, and so is what it had to say.
    stream.on('error', () => undefined);
    stream.unref();
  }
  return () => said.trim().replaceAll(/\s+/g, ' ');
}

/** Whether anybody accepts connections on a unix socket. `nobody` also if the socket was left behind by a process that died. */
export function probeSocket(path: string): Promise<'accepts' | 'nobody' | Error> {
  const { promise, resolve } = Promise.withResolvers<'accepts' | 'nobody' | Error>();
  const socket = connect({ path });
  socket.once('connect', () => {
    socket.destroy();
    resolve('accepts');
  });
  socket.once('error', (error: NodeJS.ErrnoException) => {
    resolve(error.code === 'ENOENT' || error.code === 'ECONNREFUSED' ? 'nobody' : error);
  });
  return promise;
}

/** Whether a process still runs. A zombie does not: its descriptors are closed. */
export function isRunning(pid: number): boolean {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch (thrown) {
    if (thrown instanceof Error && 'code' in thrown && (thrown.code === 'ENOENT' || thrown.code === 'ESRCH'))
      return false;
    throw thrown;
  }
  // proc_pid_stat(5): the state follows the name, which may itself contain parentheses.
  const state = stat[stat.lastIndexOf(')') + 2];
  return state !== 'Z' && state !== 'X';
}
