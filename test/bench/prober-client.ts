import { connect, type Socket } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Lab } from '../lab/lab.ts';
import type { LabProcess } from '../lab/process.ts';
import type { ProberAnswer, ProberAnswers, ProberRequest } from './prober-protocol.ts';

/** A prober process in a namespace of a lab, which ends it. One request at a time. */
export class Prober {
  readonly process: LabProcess;
  readonly #socket: Socket;
  readonly #lines: AsyncIterator<string>;

  private constructor(process: LabProcess, socket: Socket) {
    this.process = process;
    this.#socket = socket;
    this.#lines = createInterface(socket)[Symbol.asyncIterator]();
  }

  static async start(lab: Lab, namespace: string, cpu: number): Promise<Prober> {
    const path = join(lab.directory, `${namespace}.sock`);
    const script = join(import.meta.dirname, 'prober.ts');
    const started = lab.start(namespace, [process.execPath, script, path], { cpu });
    await started.waitForOutput(/ready/);
    const socket = connect(path);
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    socket.once('connect', () => resolve()).once('error', reject);
    await promise;
    return new Prober(started, socket);
  }

  /** @throws Error with the prober's words if it cannot. */
  async ask<Do extends ProberRequest['do']>(request: Extract<ProberRequest, { do: Do }>): Promise<ProberAnswers[Do]> {
    this.#socket.write(`${JSON.stringify(request)}\n`);
    const { value, done } = await this.#lines.next();
    if (done === true) throw new Error(`the prober has ended: ${this.process.stderr.slice(-1_000)}`);
    const answer = JSON.parse(value) as ProberAnswer;
    if ('error' in answer) throw new Error(`"${request.do}": ${answer.error}`);
    return answer.answer as ProberAnswers[Do];
  }

  /** Lets it stand still: it uses no processor time, and what it listens for waits in its socket. No requests until `resume`. */
  pause(): void {
    this.process.signal('SIGSTOP');
  }

  resume(): void {
    this.process.signal('SIGCONT');
  }

  /** Lets go of the process; the lab ends it. */
  disconnect(): void {
    this.#socket.destroy();
  }
}
