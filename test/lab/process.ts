import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { CommandResult } from './command.ts';
import { type LabId, labVariable } from './lab-id.ts';
import { Tail } from './tail.ts';

/** How a process in a lab is started. */
export interface StartOptions {
  /** Added to this process's environment. */
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** The only core it may use. Default any. */
  readonly cpu?: number;
  /** What it reads. Default nothing. */
  readonly input?: string;
  /** Its output goes to this file instead of being kept: for a process that outlives this one. */
  readonly logFile?: string;
}

/** Bytes that are kept of each of stdout and stderr; the oldest are dropped. */
const keptBytes = 1024 * 1024;

/** A process in a namespace of a lab. Disposing of it ends it. */
export class LabProcess implements AsyncDisposable {
  /** Pid of the program itself: what starts it replaces itself. */
  readonly pid: number;
  readonly argv: readonly string[];
  /** Fulfilled when it has ended and its output is there; never rejected. */
  readonly exited: Promise<CommandResult>;
  #child: ChildProcess;
  #stdout = new Tail(keptBytes);
  #stderr = new Tail(keptBytes);
  #logFile: string | undefined;
  #ended = false;

  constructor(namespace: string, lab: LabId, argv: readonly string[], options: StartOptions) {
    this.argv = argv;
    this.#logFile = options.logFile;
    const pinned = options.cpu === undefined ? argv : ['taskset', '--cpu-list', String(options.cpu), ...argv];
    const log = options.logFile === undefined ? undefined : openSync(options.logFile, 'a');
    // nsenter, not `ip netns exec`: the latter mounts /sys anew, which containers often forbid.
    this.#child = spawn('nsenter', [`--net=/run/netns/${namespace}`, '--', ...pinned], {
      stdio: [options.input === undefined ? 'ignore' : 'pipe', log ?? 'pipe', log ?? 'pipe'],
      env: { ...process.env, ...options.env, [labVariable]: lab },
      // A session of its own: an interrupt from the terminal reaches only us, and we end the lab in order.
      detached: true,
      ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    });
    if (log !== undefined) closeSync(log);
    const { promise, resolve } = Promise.withResolvers<CommandResult>();
    this.exited = promise;
    const closed = new Promise<void>((done) => {
      this.#child.on('close', () => done());
    });
    this.#child.on('exit', (code, signal) => {
      this.#ended = true;
      // A child of its own may hold the pipes and live on. What it wrote itself is in them by now, and is read before setImmediate
      // calls back, also where this process was kept from reading for longer than that.
      const bound = new Promise<void>((done) => {
        setTimeout(() => setImmediate(done), 200).unref();
      });
      Promise.race([closed, bound]).then(() => resolve({ code, signal, stdout: this.stdout, stderr: this.stderr }));
    });
    this.#child.stdout?.on('data', (bytes: Buffer) => this.#stdout.push(bytes));
    this.#child.stderr?.on('data', (bytes: Buffer) => this.#stderr.push(bytes));
    this.#child.on('error', (error) => this.#stderr.push(Buffer.from(`${error.message}\n`)));
    if (this.#child.pid === undefined) throw new Error('nsenter (package util-linux) could not be started');
    this.pid = this.#child.pid;
    // It may end without reading all of it; its status tells.
    this.#child.stdin?.on('error', () => undefined);
    this.#child.stdin?.end(options.input);
  }

  /** What it wrote so far, at most the last mebibyte. */
  get stdout(): string {
    return this.#logFile === undefined ? this.#stdout.text() : readFileSync(this.#logFile, 'utf8');
  }

  /** What it wrote so far, at most the last mebibyte. With a log file the same as `stdout`. */
  get stderr(): string {
    return this.#logFile === undefined ? this.#stderr.text() : readFileSync(this.#logFile, 'utf8');
  }

  get running(): boolean {
    return !this.#ended;
  }

  /** Sends a signal; does nothing if it has ended. */
  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Asks it to end, and makes it end after `graceMs`. */
  async stop(graceMs = 5_000): Promise<CommandResult> {
    this.signal('SIGTERM');
    const timer = setTimeout(() => this.signal('SIGKILL'), graceMs);
    const result = await this.exited;
    clearTimeout(timer);
    return result;
  }

  /** Ends it at once, without a chance to tidy up. */
  async kill(): Promise<CommandResult> {
    this.signal('SIGKILL');
    return await this.exited;
  }

  /**
   * Waits until it has written something.
   *
   * @throws Error with its last output if it ends before, or does not write that in time.
   */
  async waitForOutput(pattern: RegExp, timeoutMs = 60_000): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (!pattern.test(this.stdout) && !pattern.test(this.stderr)) {
      const name = this.argv.join(' ');
      const last = `${this.stdout}${this.stderr}`.slice(-2_000);
      if (!this.running) throw new Error(`"${name}" ended before it wrote ${pattern}:\n${last}`);
      if (performance.now() > end) throw new Error(`"${name}" did not write ${pattern} in ${timeoutMs} ms:\n${last}`);
      await new Promise((resolve) => setTimeout(resolve, 10));
    }
  }

  /** Lets this process end although that one runs. */
  release(): void {
    this.#child.unref();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.running) await this.stop();
  }
}
