import { spawn } from 'node:child_process';
import { mcfleet } from './fleet.ts';

/** What a run of the command left. */
export interface McfleetResult {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A run of the command that goes on: `get -w`, for example. */
export interface RunningMcfleet {
  readonly ended: Promise<McfleetResult>;
  /** Waits until standard output or error holds a text; fails after a minute, or when the run has ended without it. */
  until(text: string): Promise<void>;
  kill(): void;
}

export interface McfleetOptions {
  /** Standard input. Default: empty. */
  readonly input?: string;
  readonly cwd?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** Starts the command as users do, through its launcher. */
export function startMcfleet(args: readonly string[], { input = '', cwd, env }: McfleetOptions = {}): RunningMcfleet {
  const running = spawn(mcfleet, args, { stdio: 'pipe', cwd, env: { ...process.env, ...env } });
  let stdout = '';
  let stderr = '';
  running.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
  });
  running.stderr.setEncoding('utf8').on('data', (text: string) => {
    stderr += text;
  });
  // It may end without reading what it is given.
  running.stdin.on('error', () => undefined).end(input);
  const ended = new Promise<McfleetResult>((resolve, reject) => {
    running.on('error', reject);
    running.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
  return {
    ended,
    kill: () => running.kill(),
    until: async (text) => {
      const deadline = Date.now() + 60_000;
      while (!stdout.includes(text) && !stderr.includes(text)) {
        if (Date.now() > deadline || running.exitCode !== null) {
          throw new Error(`mcfleet ${args.join(' ')} did not say "${text}":\n${stdout}${stderr}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
    },
  };
}

/** Runs the command to its end. */
export function runMcfleet(args: readonly string[], options?: McfleetOptions): Promise<McfleetResult> {
  return startMcfleet(args, options).ended;
}
