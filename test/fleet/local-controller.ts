import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { mcfleet } from './fleet.ts';

const startTimeoutMs = 30_000;

/** What the controller writes into its data directory once it serves. */
interface Listeners {
  readonly pid: number;
  readonly admin: string;
  readonly agent: string;
}

/** A real controller on free ports of the loopback, without a lab. Dispose of it: it ends, and its directory goes. */
export class LocalController implements AsyncDisposable {
  readonly directory: string;
  #listeners: Listeners = { pid: 0, admin: '127.0.0.1:0', agent: '127.0.0.1:0' };
  #process: ChildProcess | undefined;
  #log = '';

  private constructor(directory: string) {
    this.directory = directory;
  }

  static async start(): Promise<LocalController> {
    const controller = new LocalController(mkdtempSync(join(tmpdir(), 'mcfleet-controller-')));
    await controller.startAgain();
    return controller;
  }

  /** Address of the admin listener: "127.0.0.1:PORT". */
  get admin(): string {
    return this.#listeners.admin;
  }

  /** Address of the listener for agents. */
  get agent(): string {
    return this.#listeners.agent;
  }

  get pid(): number {
    return this.#process?.pid ?? 0;
  }

  /** What it has logged. */
  get log(): string {
    return this.#log;
  }

  /** Starts it on its directory and, after the first time, on the same ports. */
  async startAgain(): Promise<void> {
    const { admin, agent } = this.#listeners;
    const listen = ['--admin-listen', admin, '--agent-listen', agent];
    const started = spawn(mcfleet, ['controller', '--data-dir', this.directory, ...listen], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    this.#process = started;
    started.stderr.setEncoding('utf8').on('data', (text: string) => {
      this.#log = (this.#log + text).slice(-100_000);
    });
    const deadline = Date.now() + startTimeoutMs;
    while (Date.now() < deadline) {
      if (started.exitCode !== null) break;
      const written = this.#readListeners();
      // The file of the run before names another process.
      if (written !== undefined && written.pid === started.pid) {
        this.#listeners = written;
        return;
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`the controller did not start:\n${this.#log}`);
  }

  /** Ends it with a signal and waits until it has gone. */
  async end(signal: 'SIGTERM' | 'SIGKILL'): Promise<void> {
    const running = this.#process;
    if (running === undefined || running.exitCode !== null || running.signalCode !== null) return;
    const gone = new Promise<void>((resolve) => running.once('exit', () => resolve()));
    running.kill(signal);
    const timer = setTimeout(() => running.kill('SIGKILL'), 15_000);
    await gone;
    clearTimeout(timer);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.end('SIGTERM');
    rmSync(this.directory, { recursive: true, force: true });
  }

  #readListeners(): Listeners | undefined {
    try {
      return JSON.parse(readFileSync(join(this.directory, 'controller.json'), 'utf8'));
    } catch {
      // Not there yet.
      return undefined;
    }
  }
}
