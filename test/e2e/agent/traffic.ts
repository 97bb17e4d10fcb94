import { Receiver, Sender } from '../../fleet/probe.ts';
import type { Carried } from '../../fleet/relay-path.ts';
import type { Lab } from '../../lab/lab.ts';

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
  /** Default until stopped. */
  readonly count?: number;
}

/** Bytes of payload: the video packets that the founding documents measure with. */
const SIZE = 1_316;

/** A stream on its way. */
export class RunningStream {
  readonly #receiver: Receiver;
  readonly #sender: Sender;

  private constructor(receiver: Receiver, sender: Sender) {
    this.#receiver = receiver;
    this.#sender = sender;
  }

  /** Starts receiver and sender; packets arrive when it returns. */
  static async start(lab: Lab, stream: Stream): Promise<RunningStream> {
    const count = stream.count === undefined ? {} : { count: stream.count };
    const far = { interface: stream.toInterface, group: stream.toGroup, port: stream.toPort };
    const receiver = await Receiver.start(lab, stream.to, { ...far, ...count });
    const near = { interface: stream.fromInterface, group: stream.group, port: stream.port };
    const sender = new Sender(lab, stream.from, { ...near, ...count, rate: stream.rate, size: SIZE });
    await receiver.waitForStream(sender);
    return new RunningStream(receiver, sender);
  }

  /** Waits for the end of a stream that has one. */
  async arrived(): Promise<Carried> {
    return { sent: await this.#sender.result(), received: await this.#receiver.stopWhenQuiet(1_000) };
  }

  /** Ends a stream that has no end. */
  async stop(): Promise<Carried> {
    if (!this.#sender.process.running) throw new Error(`the sender has ended: ${this.#sender.process.stderr}`);
    return { sent: await this.#sender.stop(), received: await this.#receiver.stopWhenQuiet() };
  }
}
