import { type ChildProcess, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout } from 'node:timers/promises';
import type { ForwarderOptions, RateLimitProgram, UdpSocketStatus } from '../index.ts';
import { packetThreadsSleep, threadsOf } from './packet-threads.ts';

/** Makes, sends and captures packets; says how in its first lines. */
export const packetsScript = join(import.meta.dirname, 'packets.py');

/** A relay with interfaces by name. */
export interface RelayDraft {
  readonly uid: string;
  readonly input: string;
  readonly group: string;
  readonly port?: number | null;
  readonly vlan?: number | null;
  readonly sources?: readonly string[];
  readonly excludedSources?: readonly string[];
  readonly rateLimit?: RateLimitProgram | null;
  readonly keepDuplicates?: boolean;
  readonly minTtl?: number | null;
  readonly outputs: readonly {
    readonly interface: string;
    readonly address: string;
    readonly key?: string;
    readonly port?: number | null;
    readonly ttl?: number | null;
    readonly source?: string | null;
    readonly dscp?: number | null;
    readonly sourcePort?: number | null;
    readonly dropOversize?: boolean;
  }[];
}

/** UdpSocketStatus as JSON brings it. */
export type UdpSocketReport = Readonly<Record<keyof UdpSocketStatus, number>>;

/** Counters as JSON brings them: numbers in place of bigints, drops by reason. */
export interface RelayReport {
  readonly uid: string;
  readonly rxPackets: number;
  readonly rxBytes: number;
  readonly lastPacketUnixNano: number;
  readonly latencyBuckets: readonly number[];
  readonly latencySumNano: number;
  readonly drops: readonly { reason: string; packets: number }[];
  readonly outputs: readonly {
    readonly key: string;
    readonly txPackets: number;
    readonly txBytes: number;
    readonly drops: readonly { reason: string; packets: number }[];
    readonly up: boolean;
    readonly downReason: string;
  }[];
  readonly warning: string;
}

export interface InputReport {
  readonly rxPackets: number;
  readonly kernelDrops: number;
  readonly unmatched: number;
  readonly drops: readonly { reason: string; packets: number }[];
  readonly up: boolean;
  readonly downReason: string;
}

export interface LossReport {
  readonly ifindex: number;
  readonly queue: number;
  readonly deviceDropped: number;
  readonly deviceErrors: number;
  readonly startUnixNano: number;
}

/** A program in a namespace that is spoken to by lines. */
export class LineProcess {
  readonly child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #exited: Promise<string>;
  #ended: Promise<string[]> | undefined;

  /** @param namespace its name in /run/netns. */
  constructor(namespace: string, ...argv: string[]) {
    this.child = spawn('nsenter', [`--net=/run/netns/${namespace}`, '--', ...argv], {
      stdio: ['pipe', 'pipe', 'inherit'],
    });
    if (!this.child.stdout) throw new Error('no output');
    this.#lines = createInterface(this.child.stdout)[Symbol.asyncIterator]();
    this.#exited = new Promise((resolve) => this.child.once('exit', (code, signal) => resolve(`${code ?? signal}`)));
  }

  async line(): Promise<string> {
    const { value, done } = await this.#lines.next();
    if (done) throw new Error('the process ended');
    return value;
  }

  write(line: string): void {
    this.child.stdin?.write(`${line}\n`);
  }

  /** Ends its input, and gives what it still says, with its exit status last. Once: later calls give the same. */
  end(): Promise<string[]> {
    this.#ended ??= this.#end();
    return this.#ended;
  }

  async #end(): Promise<string[]> {
    this.child.stdin?.end();
    const rest: string[] = [];
    for (let next = await this.#lines.next(); !next.done; next = await this.#lines.next()) rest.push(next.value);
    return [...rest, await this.#exited];
  }
}

/** Rings are small unless told otherwise; `undefined`: the forwarder's own default. */
export type TestForwarderOptions = Omit<ForwarderOptions, 'ringBytes'> & { readonly ringBytes?: number | undefined };

/** run-forwarder.ts in a namespace. */
export class ForwarderProcess extends LineProcess {
  /** @param prefix a command that runs it, with its arguments. */
  static async start(
    namespace: string,
    options: TestForwarderOptions = {},
    prefix: readonly string[] = [],
  ): Promise<ForwarderProcess> {
    const script = join(import.meta.dirname, 'run-forwarder.ts');
    const started = new ForwarderProcess(
      namespace,
      ...prefix,
      process.execPath,
      script,
      JSON.stringify({ ringBytes: 8 << 20, ...options }),
    );
    if ((await started.line()) !== '"ready"') throw new Error('the forwarder did not start');
    return started;
  }

  async call(command: object): Promise<unknown> {
    this.write(JSON.stringify(command));
    return JSON.parse(await this.line());
  }

  apply(upserts: readonly RelayDraft[], options: object = {}): Promise<unknown> {
    return this.call({ call: 'apply', upserts, ...options });
  }

  async snapshot(): Promise<{ relays: RelayReport[]; inputs: InputReport[] }> {
    return (await this.call({ call: 'snapshot' })) as { relays: RelayReport[]; inputs: InputReport[] };
  }

  /** How each output sends, and why: "gso: super-frames to the link-layer address of a unicast receiver". */
  async ways(): Promise<string> {
    const { outputs } = (await this.call({ call: 'status' })) as { outputs: { transmit: string; reason: string }[] };
    return outputs.map(({ transmit, reason }) => `${transmit}: ${reason}`).join('; ');
  }

  /** Of its first packet thread. */
  async udpSockets(): Promise<UdpSocketReport> {
    const { workers } = (await this.call({ call: 'status' })) as { workers: { udpSockets: UdpSocketReport }[] };
    const [first] = workers;
    if (first === undefined) throw new Error('a forwarder without packet threads');
    return first.udpSockets;
  }

  async losses(): Promise<readonly LossReport[]> {
    return (await this.call({ call: 'losses' })) as LossReport[];
  }

  /** Does something while nobody reads the ring, so that all of it is queued when the forwarder goes on. */
  async whilePaused(act: () => Promise<unknown>): Promise<void> {
    this.child.kill('SIGSTOP');
    try {
      // The signal is delivered to one thread, and when that has had its turn the others are stopped.
      while (threadsOf(this.#pid).some(({ state }) => state !== 'T')) await setTimeout(1);
      await act();
    } finally {
      this.child.kill('SIGCONT');
    }
  }

  /** Whether every packet thread sleeps: then there is nothing in its rings, and nothing under way. */
  get isIdle(): boolean {
    return packetThreadsSleep(this.#pid);
  }

  get #pid(): number {
    if (this.child.pid === undefined) throw new Error('the forwarder did not start');
    return this.child.pid;
  }

  async relay(uid: string): Promise<RelayReport> {
    const found = (await this.snapshot()).relays.find((relay) => relay.uid === uid);
    if (!found) throw new Error(`no relay ${uid}`);
    return found;
  }
}

/** packets.py sending. */
export class PacketSender extends LineProcess {
  constructor(namespace: string, device: string) {
    super(namespace, 'python3', packetsScript, 'send', device);
  }

  async frames(...frames: readonly Buffer[]): Promise<void> {
    this.write(JSON.stringify({ frames: frames.map((frame) => frame.toString('hex')) }));
    await this.line();
  }

  /** Whoever sends them on has to finish their UDP checksums. */
  async unfinished(...frames: readonly Buffer[]): Promise<void> {
    this.write(JSON.stringify({ unfinished: frames.map((frame) => frame.toString('hex')) }));
    await this.line();
  }

  async udp(udp: {
    group: string;
    port: number;
    sourcePort?: number;
    ttl?: number;
    segment?: number;
    sizes: number[];
  }): Promise<void> {
    this.write(JSON.stringify({ udp }));
    await this.line();
  }
}

/** For what the last packet needs from the forwarder to its capture. */
const SETTLED_MS = 50;

/** packets.py capturing. */
export class PacketCapture extends LineProcess {
  /** Resolves when all that was sent has come through. */
  #settled: () => Promise<void> = async () => undefined;

  /**
   * `tun` makes the device, and lets arrive there what is written as lines of hex; `silent-tun` makes one and reads nothing of what
   * is sent through it; `capture6` captures IPv6.
   *
   * @param settled resolves when all that was sent has come through; asked by rest()
   */
  static async start(
    namespace: string,
    device: string,
    role: 'capture' | 'capture6' | 'tun' | 'silent-tun' = 'capture',
    settled?: () => Promise<void>,
  ): Promise<PacketCapture> {
    const argv = role === 'capture6' ? ['capture', device, 'ipv6'] : [role, device];
    const started = new PacketCapture(namespace, 'python3', packetsScript, ...argv);
    if (settled !== undefined) started.#settled = settled;
    if ((await started.line()) !== 'ready') throw new Error('the capture did not start');
    return started;
  }

  /** The next `count` frames. */
  async take(count: number): Promise<Buffer[]> {
    const frames: Buffer[] = [];
    while (frames.length < count) frames.push(Buffer.from(await this.line(), 'hex'));
    return frames;
  }

  /**
   * Everything that arrives until nothing did for `idleMs`. That alone says little on a busy machine: it ends only when besides
   * nothing is under way any more, and nothing came while that was asked.
   */
  async rest(idleMs = 150): Promise<Buffer[]> {
    const lines: string[] = [];
    let next = this.line();
    let settled = false;
    for (;;) {
      const line = await Promise.race([next, setTimeout(settled ? SETTLED_MS : idleMs, null)]);
      if (line !== null) {
        lines.push(line);
        next = this.line();
        settled = false;
      } else if (settled) {
        break;
      } else {
        await this.#settled();
        settled = true;
      }
    }
    // One line is still waited for. It comes in the last moment, or fails because the capture has ended.
    const [rest, last] = await Promise.all([this.end(), next.catch(() => null)]);
    if (last !== null) lines.push(last);
    return [...lines, ...rest.slice(0, -1)].map((line) => Buffer.from(line, 'hex'));
  }
}
