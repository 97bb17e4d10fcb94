import { stringify } from 'yaml';
import type { CommandResult } from '../lab/command.ts';
import { Lab } from '../lab/lab.ts';
import { chain, dualBridge, type TopologyOptions } from '../lab/topologies.ts';
import { Fleet } from './fleet.ts';
import { type Received, Receiver, Sender, type Sent } from './probe.ts';

/** Where packets are sent, relayed and received in one of the topologies with one relay host. */
export interface Course {
  readonly sender: { readonly namespace: string; readonly interface: string };
  readonly relay: { readonly namespace: string; readonly input: string; readonly output: string };
  readonly receiver: { readonly namespace: string; readonly interface: string; readonly address: string };
}

/** The topologies with one relay host, by name. */
export const courses = {
  chain: {
    sender: { namespace: 'gen', interface: 'veth0' },
    relay: { namespace: 'relay', input: 'veth1', output: 'veth3' },
    receiver: { namespace: 'sink', interface: 'veth2', address: '10.0.1.2' },
  },
  'dual-bridge': {
    sender: { namespace: 'gen', interface: 'veth-gen' },
    relay: { namespace: 'relay', input: 'veth-mcr0', output: 'veth-mcr1' },
    receiver: { namespace: 'sink', interface: 'veth-sink', address: '10.0.1.30' },
  },
} as const satisfies Record<string, Course>;

/** The one host of these topologies. */
export const host = 'edge-1';

/** A stream to be sent along the course. */
export interface Stream {
  /** Packets per second. Default 20,000. */
  readonly rate?: number;
  /** UDP payload in bytes. Default 1316. */
  readonly size?: number;
  /** Default: the sender's own, by a plain UDP socket. Another than its own makes raw packets. */
  readonly source?: string;
  /** Destination at the sender. Default 239.1.1.1:5001. */
  readonly group?: string;
  readonly port?: number;
  /** What is received. Default 239.9.9.9:5099. */
  readonly receivedGroup?: string;
  readonly receivedPort?: number;
  /** Receive at the interface, not by a UDP socket. */
  readonly rawReceiver?: boolean;
  /** Compute fingerprints of the payloads at both ends. */
  readonly digest?: boolean;
  /** Default that of the topology. */
  readonly course?: Course;
  /** The only core of the sender. Default any. */
  readonly senderCpu?: number;
  /** The only core of the receiver. Default any. */
  readonly receiverCpu?: number;
}

/** A stream from both ends. */
export interface Carried {
  readonly sent: Sent;
  readonly received: Received;
}

/** A lab with a fleet of one host in it, and a stream from end to end. */
export class RelayPath implements AsyncDisposable {
  readonly lab: Lab;
  readonly fleet: Fleet;
  readonly course: Course;

  private constructor(lab: Lab, fleet: Fleet, course: Course) {
    this.lab = lab;
    this.fleet = fleet;
    this.course = course;
  }

  /** @param options `relayCpu` is the only core of agent and data plane, default any; `agentOptions` are more options of the agent. */
  static async start(
    topology: keyof typeof courses,
    options: TopologyOptions & { readonly relayCpu?: number; readonly agentOptions?: readonly string[] } = {},
  ): Promise<RelayPath> {
    const lab = await Lab.create(topology === 'chain' ? chain(options) : dualBridge(options));
    try {
      const pinned = options.relayCpu === undefined ? [] : ['taskset', '--cpu-list', String(options.relayCpu)];
      const fleet = await Fleet.start(lab, {
        controller: 'relay',
        hosts: { [host]: 'relay' },
        agentCommand: (argv) => [...pinned, ...argv, ...(options.agentOptions ?? [])],
      });
      return RelayPath.over(lab, fleet, topology);
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Puts a fleet that runs in a lab of its own making on the course. */
  static over(lab: Lab, fleet: Fleet, topology: keyof typeof courses): RelayPath {
    return new RelayPath(lab, fleet, courses[topology]);
  }

  /** Index of an interface of the lab. */
  async ifindex(namespace: string, device: string): Promise<number> {
    const { stdout } = await this.lab.run(namespace, ['ip', '-json', 'link', 'show', 'dev', device]);
    const [link] = JSON.parse(stdout) as { ifindex: number }[];
    if (link === undefined) throw new Error(`${namespace} has no interface "${device}"`);
    return link.ifindex;
  }

  /** The specification of a relay along the course: 239.1.1.1:5001 to 239.9.9.9:5099, unless said otherwise. */
  spec(changes: { readonly input?: object; readonly outputs?: readonly object[] } = {}): object {
    const outputs = changes.outputs ?? [{ address: '239.9.9.9', port: 5099 }];
    return {
      hosts: { names: [host] },
      input: { interface: this.course.relay.input, group: '239.1.1.1', port: 5001, ...changes.input },
      outputs: outputs.map((output) => ({ interface: this.course.relay.output, ...output })),
    };
  }

  /** Applies relays by name, and waits until they forward. */
  async apply(relays: Readonly<Record<string, object>>): Promise<void> {
    const apply = ['apply', '-f', '-', '--wait', '--timeout', '60s'];
    await this.fleet.command(apply, { input: relayDocuments(relays), timeoutMs: 90_000 });
  }

  /** Applies relays by name, and does not wait. */
  async tryApply(relays: Readonly<Record<string, object>>): Promise<CommandResult> {
    return await this.fleet.run(['apply', '-f', '-'], { input: relayDocuments(relays) });
  }

  /** Sends a stream of `count` packets and counts them at the far end. */
  async carry(stream: Stream & { readonly count: number }): Promise<Carried> {
    const receiver = await this.#listen(stream, stream.count);
    const sent = await this.#send(stream, stream.count).result();
    return { sent, received: await receiver.stopWhenQuiet(1_000) };
  }

  /** Sends a stream while something is done, and before and after that, and counts at the far end. */
  async carryDuring(stream: Stream, meanwhile: () => Promise<void>): Promise<Carried> {
    const receiver = await this.#listen(stream, undefined);
    const sender = this.#send(stream, undefined);
    await receiver.waitForStream(sender);
    await meanwhile();
    await receiver.waitForStream(sender);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const sent = await sender.stop();
    return { sent, received: await receiver.stopWhenQuiet() };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.lab[Symbol.asyncDispose]();
  }

  async #listen(stream: Stream, count: number | undefined): Promise<Receiver> {
    const { namespace, interface: device } = (stream.course ?? this.course).receiver;
    return await Receiver.start(
      this.lab,
      namespace,
      {
        interface: device,
        group: stream.receivedGroup ?? '239.9.9.9',
        port: stream.receivedPort ?? 5099,
        raw: stream.rawReceiver === true,
        digest: stream.digest === true,
        ...(count === undefined ? {} : { count }),
      },
      stream.receiverCpu === undefined ? {} : { cpu: stream.receiverCpu },
    );
  }

  #send(stream: Stream, count: number | undefined): Sender {
    const { namespace, interface: device } = (stream.course ?? this.course).sender;
    return new Sender(
      this.lab,
      namespace,
      {
        interface: device,
        group: stream.group ?? '239.1.1.1',
        port: stream.port ?? 5001,
        rate: stream.rate ?? 20_000,
        size: stream.size ?? 1316,
        digest: stream.digest === true,
        ...(count === undefined ? {} : { count }),
        ...(stream.source === undefined ? {} : { source: stream.source }),
      },
      stream.senderCpu === undefined ? {} : { cpu: stream.senderCpu },
    );
  }
}

/** YAML documents of relays by name. */
export function relayDocuments(relays: Readonly<Record<string, object>>): string {
  return Object.entries(relays)
    .map(([name, spec]) => stringify({ apiVersion: 'mcfleet/v1', kind: 'Relay', metadata: { name }, spec }))
    .join('---\n');
}
