import type { Lab } from '../lab/lab.ts';
import type { LabProcess, StartOptions } from '../lab/process.ts';
import { mcfleet } from './fleet.ts';
import { until } from './until.ts';

/** What `mcfleet probe recv -o json` prints. */
export interface Received {
  /** Intact packets, each sequence number once. */
  readonly received: number;
  /** Of those expected. */
  readonly lost: number;
  readonly duplicates: number;
  readonly reordered: number;
  readonly corrupt: number;
  readonly bytes: number;
  /** `null` if nothing came. */
  readonly latency_us: { readonly p50: number | null; readonly p99: number | null; readonly max: number | null };
  readonly first_sequence: number | null;
  readonly last_sequence: number | null;
  /** Packets that the kernel dropped because the receiver was too slow: not the network's fault. */
  readonly receiver_drops: number;
  /** Fingerprint of the payloads, equal to the sender's if they are the same; if asked for. */
  readonly payload_sha256?: string;
}

/** What `mcfleet probe send -o json` prints. */
export interface Sent {
  readonly sent: number;
  readonly duration_seconds: number;
  /** If asked for. */
  readonly payload_sha256?: string;
}

/** Where test traffic goes. */
export interface Target {
  readonly interface: string;
  /** Group or unicast address. */
  readonly group: string;
  readonly port: number;
  /** Default until stopped. */
  readonly count?: number;
  /** Compute `payload_sha256`. */
  readonly digest?: boolean;
}

/** Test traffic. */
export interface Traffic extends Target {
  /** Packets per second. */
  readonly rate: number;
  /** UDP payload in bytes. */
  readonly size: number;
  /** Source address that the machine need not have. Default: its own, by a plain UDP socket. */
  readonly source?: string;
}

/** A running `mcfleet probe send`. */
export class Sender {
  readonly process: LabProcess;

  constructor(lab: Lab, namespace: string, traffic: Traffic, options: StartOptions = {}) {
    const argv = [...targetArguments('send', traffic), '--rate', String(traffic.rate), '--size', String(traffic.size)];
    if (traffic.source !== undefined) argv.push('--source', traffic.source);
    this.process = lab.start(namespace, argv, options);
  }

  /**
   * What it sent, once it has ended.
   *
   * @throws Error with its own words if it failed.
   */
  async result(): Promise<Sent> {
    return await printed<Sent>(this.process);
  }

  /** Asks it to end, and says what it sent. */
  async stop(): Promise<Sent> {
    this.process.signal('SIGINT');
    return await this.result();
  }
}

/** How long nothing has to arrive before a stream counts as over, in milliseconds. */
const quietMs = 300;

/** A running `mcfleet probe recv`. */
export class Receiver {
  readonly process: LabProcess;
  /** How many packets its interface has received, of any kind. */
  readonly interfacePackets: () => Promise<number>;

  private constructor(process: LabProcess, interfacePackets: () => Promise<number>) {
    this.process = process;
    this.interfacePackets = interfacePackets;
  }

  /**
   * Starts one and waits until it listens. It ends by itself once `count` packets have arrived.
   *
   * @param target `raw`: take packets at the interface, not from a UDP socket.
   */
  static async start(
    lab: Lab,
    namespace: string,
    target: Target & { readonly raw?: boolean },
    options: StartOptions = {},
  ): Promise<Receiver> {
    const argv = targetArguments('recv', target);
    if (target.raw === true) argv.push('--raw');
    // It is told when the stream is over; how long a busy machine needs for the next packet nobody knows.
    if (target.count !== undefined) argv.push('--idle', '600');
    const started = lab.start(namespace, argv, options);
    await started.waitForOutput(/receiving|listening/i);
    return new Receiver(started, async () => (await lab.interfaceCounters(namespace, target.interface)).rxPackets);
  }

  /** Waits until a stream arrives at its interface, or the sender has ended. */
  async waitForStream(sender: Sender): Promise<void> {
    const before = await this.interfacePackets();
    // More than a machine says of itself.
    await until(
      'a stream arrives',
      async () => !sender.process.running || (await this.interfacePackets()) > before + 100,
    );
  }

  /** What it received, once it has ended. */
  async result(): Promise<Received> {
    return await printed<Received>(this.process);
  }

  /** Asks it to end, and says what it received. */
  async stop(): Promise<Received> {
    this.process.signal('SIGINT');
    return await this.result();
  }

  /** The same once nothing arrives at its interface any more, if it has not ended by itself: on a busy machine packets come late. */
  async stopWhenQuiet(forMs = quietMs): Promise<Received> {
    let arrived = -1;
    let since = performance.now();
    while (this.process.running && performance.now() - since < forMs) {
      const now = await this.interfacePackets();
      if (now !== arrived) since = performance.now();
      arrived = now;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return await this.stop();
  }
}

function targetArguments(verb: 'send' | 'recv', target: Target): string[] {
  const argv = [mcfleet, 'probe', verb, '--interface', target.interface, '--group', target.group];
  argv.push('--port', String(target.port), '-o', 'json');
  if (target.count !== undefined) argv.push('--count', String(target.count));
  if (target.digest === true) argv.push('--payload-sha256');
  return argv;
}

async function printed<Report>(process: LabProcess): Promise<Report> {
  const { code, stdout, stderr } = await process.exited;
  if (stdout.trim() === '') throw new Error(`${process.argv.slice(1, 3).join(' ')} ended with ${code}: ${stderr}`);
  return JSON.parse(stdout) as Report;
}
