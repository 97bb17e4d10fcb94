import type { ProbeReceiveReport } from '@mcfleet/native';
import type { Lab } from '../../lab/lab.ts';
import type { LabProcess } from '../../lab/process.ts';

/** One stream of test packets through a relay: where it is sent, and where it has to arrive. */
export interface Stream {
  readonly from: string;
  readonly fromInterface: string;
  readonly group: string;
  readonly port: number;
  readonly to: string;
  readonly toInterface: string;
  readonly toGroup: string;
  readonly toPort: number;
  readonly rate: number;
  readonly count: number;
}

/** What arrived, counted by the receiver from the packets' own sequence numbers. */
export interface Arrived {
  readonly received: number;
  readonly lost: number;
  readonly duplicates: number;
  readonly corrupt: number;
  readonly receiverDrops: number;
}

/** Bytes of payload: the video packets that the founding documents measure with. */
const SIZE = 1_316;

/** A stream on its way. */
export class RunningStream {
  readonly #receiver: LabProcess;
  readonly #sender: LabProcess;

  private constructor(receiver: LabProcess, sender: LabProcess) {
    this.#receiver = receiver;
    this.#sender = sender;
  }

  /** Starts receiver and sender; the first packets are on their way when it returns. */
  static async start(lab: Lab, stream: Stream): Promise<RunningStream> {
    const receiver = lab.start(
      stream.to,
      script(`
      import { listInterfaces, receiveProbe } from '@mcfleet/native';
      const { index: ifindex } = listInterfaces().find(({ name }) => name === '${stream.toInterface}');
      const job = receiveProbe({ ifindex, group: '${stream.toGroup}', port: ${stream.toPort}, raw: false, digest: false,
        count: ${stream.count}, durationMs: 60_000, timeoutMs: null, idleMs: null, settleMs: 300 });
      process.on('SIGTERM', () => job.stop());
      console.log('listening');
      const alive = setInterval(() => {}, 1_000);
      console.log('report ' + JSON.stringify(await job.done, (_key, value) => typeof value === 'bigint' ? Number(value) : value));
      clearInterval(alive);`),
      { cwd: import.meta.dirname },
    );
    await receiver.waitForOutput(/listening/);
    const sender = lab.start(
      stream.from,
      script(`
      import { listInterfaces, sendProbe } from '@mcfleet/native';
      const { index: ifindex } = listInterfaces().find(({ name }) => name === '${stream.fromInterface}');
      const job = sendProbe({ ifindex, group: '${stream.group}', port: ${stream.port}, source: null, sourcePort: null,
        rate: ${stream.rate}, count: ${stream.count}, size: ${SIZE}, ttl: 8, flows: 1, raw: false, digest: false, segments: 1 });
      console.log('sending');
      const alive = setInterval(() => {}, 1_000);
      const { sent } = await job.done;
      console.log('sent ' + sent);
      clearInterval(alive);`),
      { cwd: import.meta.dirname },
    );
    await sender.waitForOutput(/sending/);
    return new RunningStream(receiver, sender);
  }

  /** Whether the sender is still at it. */
  get sending(): boolean {
    return this.#sender.running;
  }

  /** Waits for the end of the stream. A receiver that misses packets is told to stop half a second after the last was sent. */
  async arrived(): Promise<Arrived> {
    const sent = await this.#sender.exited;
    if (sent.code !== 0) throw new Error(`the sender failed: ${sent.stderr}`);
    await new Promise((resolve) => setTimeout(resolve, 500));
    const { stdout, stderr } = await this.#receiver.stop();
    const report = /^report (.*)$/m.exec(stdout)?.[1];
    if (report === undefined) throw new Error(`the receiver failed: ${stderr}`);
    const { received, lost, duplicates, corrupt, receiverDrops } = JSON.parse(report) as Record<
      keyof ProbeReceiveReport,
      number
    >;
    return { received, lost, duplicates, corrupt, receiverDrops };
  }
}

function script(source: string): string[] {
  return [
    process.execPath,
    '--disable-warning=ExperimentalWarning',
    '--input-type=module-typescript',
    '--eval',
    source,
  ];
}
