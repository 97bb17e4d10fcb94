// Packets to unicast receivers that the kernel does not find, not yet or no more: each is received or counted as dropped.
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithLab } from '../../test/lab/when-possible.ts';
import type { ForwarderProcess, PacketSender, RelayDraft, TestForwarderOptions } from './forwarder-process.ts';
import { eventually, ForwarderTopology } from './forwarder-topology.ts';
import { readFrame } from './ipv4-frame.ts';
import { addressBytes } from './ipv6-frame.ts';

interface Family {
  readonly name: 'ipv4' | 'ipv6';
  readonly groups: readonly string[];
  /** A group of an output that nothing disturbs. */
  readonly otherGroup: string;
  readonly network: string;
  readonly prefix: string;
}

const families: readonly Family[] = [
  {
    name: 'ipv4',
    groups: ['239.1.1.1', '239.1.1.2', '239.1.1.3', '239.1.1.4'],
    otherGroup: '239.10.10.10',
    network: '10.2.1.',
    prefix: '/24',
  },
  {
    name: 'ipv6',
    groups: ['ff3e::8000:1', 'ff3e::8000:2', 'ff3e::8000:3', 'ff3e::8000:4'],
    otherGroup: 'ff3e::8000:10',
    network: '2001:db8:21::',
    prefix: '/64 nodad',
  },
];

/** Datagrams of one size. */
const datagrams = (count: number): number[] => Array.from({ length: count }, () => 200);

interface Counts {
  readonly sent: number;
  readonly noNeighbour: number;
  /** Of any other reason. */
  readonly otherDrops: number;
}

for (const family of families)
  describeWithLab(`packets to ${family.name} receivers that are not found`, () => testsOf(family));

function testsOf(family: Family): void {
  const [group = ''] = family.groups;
  const absent = `${family.network}77`;
  const present = `${family.network}2`;
  let lab: ForwarderTopology;
  let sender: PacketSender | undefined;
  beforeEach(async () => {
    sender = undefined;
    lab = await ForwarderTopology.create({ ipv6: true });
  });
  afterEach(() => lab?.delete());

  const relay = (address: string, more: Partial<RelayDraft> = {}): RelayDraft => ({
    uid: 'simple',
    input: 'in',
    group,
    port: 5001,
    outputs: [{ key: 'receiver', interface: 'out1', address }],
    ...more,
  });

  async function start(relays: readonly RelayDraft[], options: TestForwarderOptions = {}): Promise<ForwarderProcess> {
    const forwarder = await lab.forwarder({ ringBytes: 32 << 20, ...options });
    expect(await forwarder.apply(relays)).toEqual([]);
    return forwarder;
  }

  /** Of one output of each of these relays, together. */
  async function counts(forwarder: ForwarderProcess, key = 'receiver'): Promise<Counts> {
    const outputs = (await forwarder.snapshot()).relays.flatMap((relay) =>
      relay.outputs.filter((output) => output.key === key),
    );
    const drops = outputs.flatMap((output) => output.drops);
    const sum = (values: readonly { packets: number }[]): number =>
      values.reduce((all, { packets }) => all + packets, 0);
    return {
      sent: outputs.reduce((all, { txPackets }) => all + txPackets, 0),
      noNeighbour: sum(drops.filter(({ reason }) => reason === 'no_neighbour')),
      otherDrops: sum(drops.filter(({ reason }) => reason !== 'no_neighbour')),
    };
  }

  /** Waits until as many are counted as the relays took. */
  async function settled(forwarder: ForwarderProcess, packets: number): Promise<Counts> {
    let last: Counts | undefined;
    await eventually(async () => {
      last = await counts(forwarder);
      expect(last.sent + last.noNeighbour + last.otherDrops).toBe(packets);
    });
    if (last === undefined) throw new Error('never counted');
    return last;
  }

  const send = async (packets: number, to = group): Promise<void> => {
    sender ??= lab.sender();
    await sender.udp({ group: to, port: 5001, sizes: datagrams(packets) });
  };

  /** A capture on the receivers' cable: how many came to an address. */
  async function receiving(): Promise<(address: string) => Promise<number>> {
    const capture = await lab.capture(1, family.name);
    let destinations: Promise<string[]> | undefined;
    const read = async (): Promise<string[]> =>
      (await capture.rest()).map((frame) =>
        // The destination's place is the same in every fragment.
        family.name === 'ipv4' ? readFrame(frame).destination : frame.subarray(38, 54).toString('hex'),
      );
    return async (address) => {
      destinations ??= read();
      const wanted = family.name === 'ipv4' ? address : addressBytes(address).toString('hex');
      return (await destinations).filter((destination) => destination === wanted).length;
    };
  }

  it('are all counted as dropped where nobody ever answers', async () => {
    const forwarder = await start([relay(absent)]);
    const received = await receiving();
    await send(1500);
    expect(await settled(forwarder, 1500)).toEqual({ sent: 0, noNeighbour: 1500, otherDrops: 0 });
    // The kernel has given up, and that is known.
    await eventually(async () =>
      expect((await forwarder.relay('simple')).outputs).toMatchObject([{ up: false, downReason: 'NoNeighbour' }]),
    );
    for (let i = 0; i < 10; i++) await send(10);
    expect(await settled(forwarder, 1600)).toEqual({ sent: 0, noNeighbour: 1600, otherDrops: 0 });
    expect(await received(absent)).toBe(0);
  });

  it('arrive or are counted as dropped when it answers later, and other outputs lose nothing', async () => {
    const outputs = [
      { key: 'other', interface: 'out1', address: family.otherGroup, port: 5001 },
      { key: 'receiver', interface: 'out1', address: absent },
      { key: 'living', interface: 'out1', address: present },
    ];
    const forwarder = await start([relay(absent, { outputs })]);
    // Known from here on: a burst may be more than waits for it, too.
    await send(1);
    await eventually(async () => expect((await counts(forwarder, 'living')).sent).toBe(1));
    const received = await receiving();
    await send(3000);
    await lab.ip('sink1', `address add ${absent}${family.prefix} dev sink1`);
    // The kernel asks again every second; or has just given up, and is asked by what comes now.
    let sent = 3001;
    const before = (await counts(forwarder)).sent;
    for (const end = Date.now() + 15_000; Date.now() < end && (await counts(forwarder)).sent === before; sent += 10) {
      await send(10);
      await setTimeout(50);
    }
    await send(500);
    sent += 500;
    const { sent: counted, noNeighbour, otherDrops } = await settled(forwarder, sent);
    expect((await forwarder.relay('simple')).outputs.map(({ up }) => up)).toEqual([true, true, true]);
    expect(await received(absent)).toBe(counted);
    expect(counted).toBeGreaterThan(500);
    expect(noNeighbour).toBeGreaterThan(0);
    expect(otherDrops).toBe(0);
    for (const [key, address] of [
      ['other', family.otherGroup],
      ['living', present],
    ] as const) {
      expect(await received(address)).toBe(sent - 1);
      expect(await counts(forwarder, key)).toEqual({ sent, noNeighbour: 0, otherDrops: 0 });
    }
  });

  it('are few when it is there: a cold start', async () => {
    const forwarder = await start([relay(present)]);
    const received = await receiving();
    await send(5000);
    const { sent, otherDrops } = await settled(forwarder, 5000);
    expect(otherDrops).toBe(0);
    expect(await received(present)).toBe(sent);
    expect(sent).toBeGreaterThan(0);
  });

  it.each(['auto', 'sendmmsg'] as const)(
    'are exact while it goes and returns, with %s',
    async (transmit) => {
      await lab.ip('sink1', `address add ${absent}${family.prefix} dev sink1`);
      const forwarder = await start([relay(absent)], { transmit });
      const received = await receiving();
      let sent = 0;
      const stream = async (packets: number): Promise<void> => {
        for (let i = 0; i < packets; i += 100) {
          await send(100);
          sent += 100;
        }
      };
      await stream(2000);
      await lab.ip('sink1', `address delete ${absent}${family.prefix.replace(' nodad', '')} dev sink1`);
      await lab.ip('relay', `neighbour delete ${absent} dev out1`);
      await stream(2000);
      await lab.ip('sink1', `address add ${absent}${family.prefix} dev sink1`);
      for (const end = Date.now() + 15_000; Date.now() < end; ) {
        const { sent: before } = await counts(forwarder);
        await stream(100);
        await setTimeout(50);
        if ((await counts(forwarder)).sent >= before + 100) break;
      }
      await stream(1000);
      const counted = await settled(forwarder, sent);
      expect(await received(absent)).toBe(counted.sent);
      expect(counted.noNeighbour).toBeGreaterThan(0);
      expect(counted.otherDrops).toBe(0);
      expect(counted.sent).toBeGreaterThan(1000);
    },
    60_000,
  );

  it('are counted as dropped where the route has several next hops, and none answers', async () => {
    const [prefix, far] =
      family.name === 'ipv4' ? ['10.53.0.0/24', '10.53.0.1'] : ['2001:db8:53::/64', '2001:db8:53::1'];
    const next = (host: string): string => `nexthop via ${family.network}${host} dev out1`;
    await lab.ip('relay', `route add ${prefix} ${next('77')} ${next('78')}`);
    const forwarder = await start([relay(far)]);
    const received = await receiving();
    await send(600);
    expect(await settled(forwarder, 600)).toEqual({ sent: 0, noNeighbour: 600, otherDrops: 0 });
    expect(await received(far)).toBe(0);
  });

  it('are told from those that are too long for their route, while it is asked for and later', async () => {
    const [prefix, far] =
      family.name === 'ipv4' ? ['10.53.0.0/24', '10.53.0.1'] : ['2001:db8:53::/64', '2001:db8:53::1'];
    await lab.ip('relay', `route add ${prefix} via ${present} dev out1 mtu 1280`);
    const forwarder = await start([relay(far)]);
    const received = await receiving();
    sender ??= lab.sender();
    const sizes = Array.from({ length: 150 }, (_, i) => (i % 3 === 0 ? 1300 : 100));
    await sender.udp({ group, port: 5001, sizes });
    await settled(forwarder, 150);
    await sender.udp({ group, port: 5001, sizes });
    const { sent, noNeighbour } = await settled(forwarder, 300);
    expect(noNeighbour).toBe(0);
    expect(sent).toBeGreaterThanOrEqual(200);
    const frames = await received(far);
    // Where fragments may be made of those that are too long, each is two.
    expect([sent, 200 + 2 * (sent - 200)]).toContain(frames);
  });

  it('are counted for each of the relays that share a receiver, by two workers', async () => {
    const relays = family.groups.map((group, i) => relay(absent, { uid: `relay ${i}`, group }));
    const forwarder = await start(relays, { workers: 2 });
    const received = await receiving();
    for (const group of family.groups) await send(800, group);
    await lab.ip('sink1', `address add ${absent}${family.prefix} dev sink1`);
    const { sent, otherDrops } = await settled(forwarder, 4 * 800);
    expect(await received(absent)).toBe(sent);
    expect(otherDrops).toBe(0);
    for (const { rxPackets, outputs } of (await forwarder.snapshot()).relays) {
      expect(rxPackets).toBe(800);
      const [output] = outputs;
      expect((output?.txPackets ?? 0) + (output?.drops[0]?.packets ?? 0)).toBe(800);
    }
    // Both had some.
    const { workers } = (await forwarder.call({ call: 'status' })) as { workers: readonly { packets: number }[] };
    for (const { packets } of workers) expect(packets).toBeGreaterThan(0);
  });

  it('do no harm when their relay is removed meanwhile', async () => {
    const forwarder = await start([relay(absent)]);
    await send(100);
    await eventually(async () => expect((await forwarder.relay('simple')).rxPackets).toBe(100));
    expect(await forwarder.apply([relay(absent, { uid: 'another' })], { removed: ['simple'] })).toEqual([]);
    await send(400);
    expect(await settled(forwarder, 400)).toEqual({ sent: 0, noNeighbour: 400, otherDrops: 0 });
    expect(await forwarder.apply([], { removed: ['another'] })).toEqual([]);
    expect(await forwarder.apply([relay(present)])).toEqual([]);
    await send(10);
    expect(await settled(forwarder, 10)).toMatchObject({ sent: 10 });
  });
}
