import { setTimeout } from 'node:timers/promises';
import { Lab } from '../../test/lab/lab.ts';
import {
  ForwarderProcess,
  PacketCapture,
  PacketSender,
  packetsScript,
  type RelayDraft,
  type TestForwarderOptions,
} from './forwarder-process.ts';

type Machine = 'source' | 'relay' | 'sink1' | 'sink2';

/**
 * A source (interface `src`), a relay (`in`, `out1`, `out2`) and two sinks (`sink1`, `sink2`), each a namespace. The outputs finish
 * checksums and cut super-frames before the cable, so that a capture sees what a receiver would; `in` hands on what the source's
 * stack left unfinished.
 */
export class ForwarderTopology {
  readonly #lab: Lab;
  readonly #ends: (() => Promise<unknown>)[] = [];
  readonly #forwarders: ForwarderProcess[] = [];

  readonly #ipv6: boolean;

  private constructor(lab: Lab, ipv6: boolean) {
    this.#lab = lab;
    this.#ipv6 = ipv6;
  }

  /** With `ipv6`, networks 2001:db8:1::/64 and 2001:db8:2N::/64 beside those of IPv4, with the same last numbers. */
  static async create({ ipv6 = false }: { readonly ipv6?: boolean } = {}): Promise<ForwarderTopology> {
    const machine = { sysctls: { 'net.ipv6.conf.default.disable_ipv6': ipv6 ? 0 : 1 } };
    const lab = await Lab.create({
      namespaces: { source: machine, relay: machine, sink1: machine, sink2: machine },
      links: [],
    });
    const topology = new ForwarderTopology(lab, ipv6);
    await topology.connectSource();
    await topology.connectSink(1);
    await topology.connectSink(2);
    return topology;
  }

  /** Lays the cable to the source, also again after it was deleted; `index` gives the relay's end its interface index. */
  async connectSource(index?: number): Promise<void> {
    await this.#connect(['in', '10.1.0.2', index], 'source', ['src', '10.1.0.1']);
    if (this.#ipv6) {
      await this.#lab.ip('relay', 'address add 2001:db8:1::2/64 dev in nodad');
      await this.#lab.ip('source', 'address add 2001:db8:1::1/64 dev src nodad');
    }
    await this.#lab.ip('source', 'route add default dev src');
  }

  /** As connectSource(), to a sink. */
  async connectSink(sink: 1 | 2, index?: number): Promise<void> {
    await this.#connect([`out${sink}`, `10.2.${sink}.1`, index], `sink${sink}`, [`sink${sink}`, `10.2.${sink}.2`]);
    if (this.#ipv6) {
      await this.#lab.ip('relay', `address add 2001:db8:2${sink}::1/64 dev out${sink} nodad`);
      await this.#lab.ip(`sink${sink}`, `address add 2001:db8:2${sink}::2/64 dev sink${sink} nodad`);
    }
    await this.offloads(`out${sink}`, false);
  }

  /** Whether an output hands unfinished checksums and super-frames to the cable as they are. */
  async offloads(device: string, on: boolean): Promise<void> {
    await this.read('relay', 'python3', packetsScript, 'offload', device, on ? 'on' : 'off');
  }

  /** Whether a device cuts UDP super-frames itself, or the kernel before it. */
  async segmentation(machine: Machine, device: string, on: boolean): Promise<void> {
    await this.read(machine, 'ethtool', '-K', device, 'tx-udp-segmentation', on ? 'on' : 'off');
  }

  /** Carries out `ip` commands. */
  async ip(machine: Machine, ...commands: string[]): Promise<void> {
    await this.#lab.ip(machine, ...commands);
  }

  /** What a program prints that must succeed. */
  async read(machine: Machine, ...argv: string[]): Promise<string> {
    const { code, stdout, stderr } = await this.#lab.run(machine, argv);
    if (code !== 0) throw new Error(`${argv.join(' ')} failed: ${stderr}`);
    return stdout;
  }

  async device(machine: Machine, name: string): Promise<{ ifindex: number; address: string }> {
    const [facts] = JSON.parse(await this.read(machine, 'ip', '-json', 'link', 'show', 'dev', name));
    return facts as { ifindex: number; address: string };
  }

  /**
   * Resolves when an interface sends again whose cable's other end came up. Until the kernel has looked at the carrier, up to a second
   * later, it throws away what it is to send (net/core/link_watch.c).
   */
  async hasCarrier(machine: Machine, device: string): Promise<void> {
    await eventually(async () => {
      const links = JSON.parse(await this.read(machine, 'ip', '-json', 'link', 'show', 'dev', device));
      const [link] = links as { operstate: string }[];
      if (link?.operstate !== 'UP') throw new Error(`${device} is ${link?.operstate}`);
    });
  }

  /** For processes of a test's own. */
  namespace(machine: Machine): string {
    return this.#lab.realName(machine);
  }

  /** Packets that a sink's interface has received. */
  async received(sink: 1 | 2): Promise<number> {
    return Number((await this.#lab.interfaceCounters(`sink${sink}`, `sink${sink}`)).rxPackets);
  }

  /**
   * Datagrams of one size that a sink's interface has received. A super-frame is one frame with one header and several payloads
   * (dev_lstats_add in drivers/net/veth.c).
   */
  async receivedDatagrams(sink: 1 | 2, size: number): Promise<number> {
    const { rxPackets, rxBytes } = await this.#lab.interfaceCounters(`sink${sink}`, `sink${sink}`);
    return Math.floor((Number(rxBytes) - 42 * Number(rxPackets)) / size);
  }

  async forwarder(options?: TestForwarderOptions, prefix?: readonly string[]): Promise<ForwarderProcess> {
    const started = await ForwarderProcess.start(this.namespace('relay'), options, prefix);
    this.#forwarders.push(started);
    this.#ends.push(() => started.end());
    return started;
  }

  /** A forwarder that has taken a relay. */
  async forwarding(relay: RelayDraft, options?: TestForwarderOptions): Promise<ForwarderProcess> {
    const forwarder = await this.forwarder(options);
    const refused = JSON.stringify(await forwarder.apply([relay]));
    if (refused !== '[]') throw new Error(`the forwarder refused the relay: ${refused}`);
    return forwarder;
  }

  /** Lets the relay know the link-layer address of the first sink, so that it need not ask for it. */
  async resolve(receiver: string): Promise<void> {
    const { address } = await this.device('sink1', 'sink1');
    await this.ip('relay', `neighbour replace ${receiver} lladdr ${address} dev out1`);
  }

  /** Sends while nobody reads the ring, so that all of it is queued when the forwarder goes on; gives what comes to the first sink. */
  async sendQueued(
    forwarder: ForwarderProcess,
    frames: readonly Buffer[],
    family: 'ipv4' | 'ipv6' = 'ipv4',
  ): Promise<Buffer[]> {
    const capture = await this.capture(1, family);
    await forwarder.whilePaused(() => this.sender().frames(...frames));
    return capture.rest();
  }

  sender(): PacketSender {
    const sender = new PacketSender(this.namespace('source'), 'src');
    this.#ends.push(() => sender.end());
    return sender;
  }

  /**
   * Puts a switch between the first sink's cable and another one, `wire0` to `wire1`, and lets the output hand super-frames and unfinished
   * checksums to the first: the second takes neither, so that what comes to its end was cut and finished by the kernel's own code for
   * the device `wire0`, from what the forwarder said of it. The sink is no receiver then.
   */
  async switchBehindFirstSink(): Promise<void> {
    await this.ip(
      'sink1',
      'link add name wire0 type veth peer name wire1',
      'link add name switch type bridge mcast_snooping 0',
      ...['sink1', 'wire0'].map((port) => `link set ${port} master switch`),
      ...['wire0', 'wire1', 'switch'].map((device) => `link set ${device} up`),
    );
    await this.read('sink1', 'python3', packetsScript, 'offload', 'wire0', 'off');
    await this.offloads('out1', true);
  }

  /** What comes to the end of the cable behind that switch. */
  async captureBehindSwitch(family: 'ipv4' | 'ipv6'): Promise<PacketCapture> {
    const role = family === 'ipv6' ? 'capture6' : 'capture';
    return PacketCapture.start(this.namespace('sink1'), 'wire1', role, () => this.#settled());
  }

  async capture(sink: 1 | 2, family: 'ipv4' | 'ipv6' = 'ipv4'): Promise<PacketCapture> {
    const role = family === 'ipv6' ? 'capture6' : 'capture';
    return PacketCapture.start(this.namespace(`sink${sink}`), `sink${sink}`, role, () => this.#settled());
  }

  /** Ends what was started since the last call. */
  async endProcesses(): Promise<void> {
    this.#forwarders.length = 0;
    for (const end of this.#ends.splice(0)) await end();
  }

  async delete(): Promise<void> {
    await this.endProcesses();
    await this.#lab[Symbol.asyncDispose]();
  }

  /** Resolves when no forwarder has anything left to do: on a busy machine it may get its turn late. */
  async #settled(): Promise<void> {
    const running = this.#forwarders.filter(({ child }) => child.exitCode === null && child.signalCode === null);
    let before = '';
    for (const end = Date.now() + 20_000; ; await setTimeout(20)) {
      const now = JSON.stringify(await Promise.all(running.map((forwarder) => forwarder.call({ call: 'snapshot' }))));
      if (now === before && running.every(({ isIdle }) => isIdle)) return;
      if (Date.now() > end) throw new Error('a forwarder did not come to rest within 20 s');
      before = now;
    }
  }

  async #connect(
    [own, ownAddress, index]: [string, string, number | undefined],
    machine: Machine,
    [far, farAddress]: [string, string],
  ): Promise<void> {
    const numbered = index === undefined ? '' : `index ${index}`;
    await this.#lab.ip(
      'relay',
      `link add name ${own} ${numbered} type veth peer name ${far} netns ${this.namespace(machine)}`,
      `address add ${ownAddress}/24 dev ${own}`,
      `link set ${own} up`,
    );
    await this.#lab.ip(machine, `address add ${farAddress}/24 dev ${far}`, `link set ${far} up`);
  }
}

/** 239.1.1.1:5001 from `in` to 239.10.10.10:6001 on `out1`. */
export const simpleRelay: RelayDraft = {
  uid: 'simple',
  input: 'in',
  group: '239.1.1.1',
  port: 5001,
  outputs: [{ key: 'first', interface: 'out1', address: '239.10.10.10', port: 6001 }],
};

/** Tries until `check` passes, for at most twenty seconds: a busy machine takes its time. */
export async function eventually(check: () => Promise<void>): Promise<void> {
  const end = Date.now() + 20_000;
  for (;;) {
    try {
      await check();
      return;
    } catch (error) {
      if (Date.now() > end) throw error;
    }
    await setTimeout(20);
  }
}
