import { command } from '../lab/command.ts';
import type { LabDescription, LinkDescription } from '../lab/description.ts';
import { Lab } from '../lab/lab.ts';
import { chain } from '../lab/topologies.ts';
import { Prober } from './prober-client.ts';

/** The cores of everything that is measured. */
export const SENDER_CPU = 0;
export const RELAY_CPU = 1;

/** What a network must be like for a case. */
export interface StageShape {
  readonly mtu: number;
  /** Cables from the relay to the sink. */
  readonly outputs: number;
  /** 6: addresses of both families. */
  readonly family: 4 | 6;
}

/** The source's interface, the relay's towards it, and the sink's first. */
export const SOURCE_INTERFACE = 'veth0';
export const INPUT_INTERFACE = 'veth1';
export const SINK_INTERFACE = 'veth2';

const outputName = (index: number): string => (index === 0 ? 'veth3' : `out${index}`);
const sinkName = (index: number): string => (index === 0 ? SINK_INTERFACE : `in${index}`);

/**
 * Namespaces gen, relay and sink in a row (test/lab: `chain`), with as many cables from relay to sink as a case needs, a prober at both
 * ends. No reverse path filter: what is measured is the relay. No IPv6 unless asked for, so that interfaces count nothing but the test traffic
 * and ARP.
 */
export class Stage implements AsyncDisposable {
  readonly lab: Lab;
  readonly source: Prober;
  readonly sink: Prober;
  /** The relay's interfaces towards the sink, and the sink's. */
  readonly outputInterfaces: readonly string[];
  readonly sinkInterfaces: readonly string[];
  readonly #indexes: ReadonlyMap<string, number>;
  readonly #segmentation = new Map<string, boolean>();
  #relayProber: Prober | undefined;

  private constructor(lab: Lab, source: Prober, sink: Prober, outputs: number, indexes: ReadonlyMap<string, number>) {
    this.lab = lab;
    this.source = source;
    this.sink = sink;
    this.outputInterfaces = Array.from({ length: outputs }, (_, index) => outputName(index));
    this.sinkInterfaces = Array.from({ length: outputs }, (_, index) => sinkName(index));
    this.#indexes = indexes;
  }

  static async create(shape: StageShape): Promise<Stage> {
    const lab = await Lab.create(describe(shape));
    try {
      if (shape.family === 6) await addIpv6Addresses(lab, shape.outputs);
      const [source, sink, links] = await Promise.all([
        Prober.start(lab, 'gen', SENDER_CPU),
        Prober.start(lab, 'sink', SENDER_CPU),
        lab.run('relay', ['ip', '-json', 'link']),
      ]);
      const indexes = (JSON.parse(links.stdout) as { ifname: string; ifindex: number }[]).map(
        ({ ifname, ifindex }) => [ifname, ifindex] as const,
      );
      return new Stage(lab, source, sink, shape.outputs, new Map(indexes));
    } catch (error) {
      await lab[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Address of one of the relay's interfaces towards the sink. */
  addressOf(output: string, family: 4 | 6): string {
    const network = this.outputInterfaces.indexOf(output) + 1;
    return family === 4 ? `10.0.${network}.1` : ipv6Address(network, 1);
  }

  /** The sink's interface at the end of one of the relay's outputs, by number. */
  sinkInterface(output: number): string {
    const name = this.sinkInterfaces[output];
    if (name === undefined) throw new Error(`the sink has no interface ${output}`);
    return name;
  }

  /** Index of one of the relay's interfaces. */
  indexOf(name: string): number {
    const index = this.#indexes.get(name);
    if (index === undefined) throw new Error(`the relay has no interface ${name}`);
    return index;
  }

  /** Whether the source's device, and the relay's output devices, cut super-frames themselves (USO) or leave it to the kernel. */
  async setSegmentation({ source, outputs }: { source: boolean; outputs: boolean }): Promise<void> {
    await this.#setSegmentation('gen', SOURCE_INTERFACE, source);
    for (const name of this.outputInterfaces) await this.#setSegmentation('relay', name, outputs);
  }

  /** A prober in the relay's namespace, for what arrives there; started when it is asked for. */
  async relayProber(): Promise<Prober> {
    this.#relayProber ??= await Prober.start(this.lab, 'relay', SENDER_CPU);
    return this.#relayProber;
  }

  /** The probers' processes. */
  get pids(): number[] {
    return this.#probers.map(({ process }) => process.pid);
  }

  get #probers(): Prober[] {
    const both = [this.source, this.sink];
    return this.#relayProber === undefined ? both : [...both, this.#relayProber];
  }

  async #setSegmentation(namespace: string, name: string, on: boolean): Promise<void> {
    if (this.#segmentation.get(name) === on) return;
    const change = ['ethtool', '-K', name, 'tx-udp-segmentation', on ? 'on' : 'off'];
    await command(['nsenter', `--net=/run/netns/${this.lab.realName(namespace)}`, '--', ...change]);
    this.#segmentation.set(name, on);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const prober of this.#probers) prober.disconnect();
    await this.lab[Symbol.asyncDispose]();
  }
}

const ipv6Address = (network: number, host: number): string => `2001:db8:${network}::${host}`;

/** Network 0 is between source and relay, the next ones between relay and sink. */
async function addIpv6Addresses(lab: Lab, outputs: number): Promise<void> {
  const add = (name: string, network: number, host: number): string =>
    `address add ${ipv6Address(network, host)}/64 dev ${name} nodad`;
  const all = Array.from({ length: outputs }, (_, index) => index);
  await lab.ip('gen', add(SOURCE_INTERFACE, 0, 2));
  await lab.ip('relay', add(INPUT_INTERFACE, 0, 1), ...all.map((index) => add(outputName(index), index + 1, 1)));
  await lab.ip('sink', ...all.map((index) => add(sinkName(index), index + 1, 2)));
}

function describe({ mtu, outputs, family }: StageShape): LabDescription {
  const base = chain({ rpFilter: 0, ipv6: family === 6 });
  const more = Array.from(
    { length: outputs - 1 },
    (_, index): LinkDescription => ({
      a: { namespace: 'relay', interface: outputName(index + 1), addresses: [`10.0.${index + 2}.1/24`] },
      b: { namespace: 'sink', interface: sinkName(index + 1), addresses: [`10.0.${index + 2}.2/24`] },
    }),
  );
  return { namespaces: base.namespaces, links: [...base.links, ...more].map((link) => ({ ...link, mtu })) };
}
