// Packets to unicast addresses as super-frames through UDP sockets, so that rules of the host apply.
import { spawnSync } from 'node:child_process';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithLab } from '../../test/lab/when-possible.ts';
import { ForwarderProcess, LineProcess, packetsScript, type RelayDraft } from './forwarder-process.ts';
import { eventually, ForwarderTopology, simpleRelay } from './forwarder-topology.ts';
import { fixIpChecksum, makeFrame, readFrame } from './ipv4-frame.ts';
import { addressBytes, makeIpv6Frame, readIpv6Frame } from './ipv6-frame.ts';

const DONT_FRAGMENT = 0x4000;
const WAY = 'super-frames to unicast receivers through UDP sockets (UDP_SEGMENT)';

interface Spec {
  readonly payload: Buffer;
  readonly sourcePort: number;
  /** Of its flow, counting up. */
  readonly number: number;
  readonly plain?: boolean;
  readonly ttl?: number;
  readonly dscp?: number;
  readonly checksum?: number;
}

interface Family {
  readonly name: 'ipv4' | 'ipv6';
  readonly group: string;
  readonly network: string;
  readonly nobody: string;
  frame(spec: Spec): Buffer;
  /** As read() gives it. */
  text(address: string): string;
  read(frame: Buffer): { sourcePort: number; payload: Buffer; destination: string };
}

const families: readonly Family[] = [
  {
    name: 'ipv4',
    group: '239.1.1.1',
    network: '10.2.1.',
    nobody: '192.0.0.8',
    frame: ({ number, plain = false, ttl = 8, dscp = 0, ...rest }) =>
      makeFrame({ ...rest, id: 1000 + number, fragment: plain ? 0 : DONT_FRAGMENT, ttl, tos: dscp * 4 }),
    text: (address) => address,
    read: readFrame,
  },
  {
    name: 'ipv6',
    group: 'ff3e::8000:1',
    network: '2001:db8:21::',
    nobody: '[100::1]',
    frame: ({ payload, sourcePort, ttl = 8, dscp = 0, checksum }) =>
      makeIpv6Frame({
        ...{ payload, sourcePort, hopLimit: ttl, trafficClass: dscp * 4, flowLabel: sourcePort },
        ...(checksum !== undefined && { checksum }),
      }),
    text: (address) => addressBytes(address).toString('hex'),
    read: readIpv6Frame,
  },
];

for (const family of families) describeWithLab(`${family.name} packets through UDP sockets`, () => testsOf(family));

function testsOf(family: Family): void {
  const receiver = `${family.network}2`;
  let lab: ForwarderTopology;
  beforeEach(async (context) => {
    if (spawnSync('nft', ['--version']).status !== 0) context.skip('needs nft');
    lab = await ForwarderTopology.create({ ipv6: true });
    await lab.read('relay', 'nft', 'add table inet own');
    await lab.read('relay', 'nft', 'add chain inet own out { type filter hook output priority 0; }');
    await lab.read('relay', 'nft', 'add rule inet own out udp dport 53 drop');
  });
  afterEach(() => lab?.delete());

  /** What loops are known by is kept where they are looked for. */
  const to = (address: string, more: object = {}): RelayDraft => ({
    ...simpleRelay,
    group: family.group,
    keepDuplicates: true,
    outputs: [{ key: 'first', interface: 'out1', address, ...more }],
  });
  /** Datagrams of some flows that interleave; of some only the raw socket gives what arrived. */
  const frames = (count: number, firstPort = 40_000): Buffer[] =>
    Array.from({ length: count }, (_, i) =>
      family.frame({
        payload: Buffer.alloc(i % 10 === 7 ? 90 : 200, i & 255),
        sourcePort: firstPort + (i % 3),
        number: Math.floor(i / 3),
        ...(i % 25 === 13 && { checksum: 0xbad }),
        ...(i % 25 === 14 && { ttl: 3 }),
        ...(i % 25 === 16 && { plain: true }),
        ...(i % 60 > 40 && { dscp: 46 }),
      }),
    );
  const queued = async (forwarder: ForwarderProcess, sent: readonly Buffer[]): Promise<Buffer[]> =>
    (await lab.sendQueued(forwarder, sent, family.name)).filter((frame) => {
      const wanted = family.name === 'ipv4' ? 0x0800 : 0x86dd;
      return frame.readUInt16BE(12) === wanted && family.read(frame).destination === family.text(receiver);
    });
  const counts = async (forwarder: ForwarderProcess): Promise<object | undefined> =>
    (await forwarder.relay('simple')).outputs[0];
  const sockets = async (): Promise<string[]> =>
    (await lab.read('relay', 'ss', '-Huan')).split('\n').filter((line) => line.includes(`${family.nobody}%out1:`));
  /** Sends until there is a socket for each of the three ports. */
  const ready = async (forwarder: ForwarderProcess, from = 40_000): Promise<void> => {
    await expect.poll(() => forwarder.ways()).toContain(WAY);
    await eventually(async () => {
      await queued(forwarder, frames(30, from));
      expect(await sockets()).toHaveLength(3);
    });
  };

  it('are byte for byte what a raw socket sends, but for an identification that means nothing', async () => {
    await lab.resolve(receiver);
    const received: Map<number, Buffer[]>[] = [];
    for (const transmit of ['sendmmsg', 'auto'] as const) {
      const forwarder = await lab.forwarding(to(receiver, { ttl: null }), { transmit });
      if (transmit === 'auto') {
        await ready(forwarder);
        // They are super-frames.
        await lab.offloads('out1', true);
        const merged = await queued(forwarder, frames(300));
        expect(merged.length).toBeLessThan(200);
        await lab.offloads('out1', false);
      }
      const arrived = await queued(forwarder, frames(300));
      expect(arrived).toHaveLength(300);
      if (family.name === 'ipv4') {
        for (const frame of arrived) if (frame.readUInt16BE(20) === DONT_FRAGMENT) fixIpChecksum(frame.fill(0, 18, 20));
      }
      received.push(Map.groupBy(arrived, (frame) => family.read(frame).sourcePort));
      await lab.endProcesses();
    }
    expect(received[1]).toEqual(received[0]);
  });

  it('arrive at programs as what is sent one by one', async () => {
    await lab.resolve(receiver);
    // Its reverse path filter would drop what comes from the sender's address.
    await lab.ip('sink1', 'route add default dev sink1');
    const ways = [
      { transmit: 'sendmmsg', port: 6001, way: 'as asked for' },
      { transmit: 'gso', port: 6002, way: 'to the link-layer address' },
      { transmit: 'auto', port: 6003, way: WAY },
    ] as const;
    const forwarders = await Promise.all(
      ways.map(async ({ transmit, port, way }) => {
        const forwarder = await lab.forwarding(to(receiver, { port }), { transmit, ringBytes: 32 << 20 });
        await expect.poll(() => forwarder.ways()).toContain(way);
        return forwarder;
      }),
    );
    const [, , automatic] = forwarders;
    if (automatic === undefined) throw new Error('no forwarder');
    await ready(automatic);
    const train = fc.record({
      flow: fc.nat(2),
      count: fc.integer({ min: 1, max: 70 }),
      size: fc.integer({ min: 40, max: 1400 }),
      shorter: fc.nat(39),
      plain: fc.boolean(),
      ttl: fc.constantFrom(8, 8, 3),
      dscp: fc.constantFrom(0, 0, 46),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(train, { minLength: 1, maxLength: 8 }), async (trains) => {
        const given = [0, 0, 0];
        const sent = trains.flatMap(({ flow, count, size, shorter, ...rest }) =>
          Array.from({ length: count }, (_, i) => {
            const number = given[flow] ?? 0;
            given[flow] = number + 1;
            const text = `${flow} ${number} `.padEnd(i === count - 1 ? size - shorter : size, 'x');
            return family.frame({ payload: Buffer.from(text), sourcePort: 40_000 + flow, number, ...rest });
          }),
        );
        const receivers = await Promise.all(
          ways.map(async ({ port }) => {
            // The group makes it a socket of the family.
            const argv = ['receive', 'sink1', `${port}`, family.group];
            const one = new LineProcess(lab.namespace('sink1'), 'python3', packetsScript, ...argv);
            expect(await one.line()).toBe('ready');
            return one;
          }),
        );
        const [first, second, third] = forwarders;
        if (!first || !second || !third) throw new Error('three forwarders');
        await first.whilePaused(() => second.whilePaused(() => third.whilePaused(() => lab.sender().frames(...sent))));
        const read = async (one: LineProcess): Promise<Map<string | undefined, string[]>> => {
          const lines: string[] = [];
          while (lines.length < sent.length) lines.push(await one.line());
          expect((await one.end()).slice(0, -1)).toEqual([]);
          return Map.groupBy(lines, (line) => line.split(' ')[0]);
        };
        const [expected, ...others] = await Promise.all(receivers.map(read));
        for (const arrived of others) expect(arrived).toEqual(expected);
      }),
      { numRuns: 10 },
    );
    for (const forwarder of forwarders) expect(await counts(forwarder)).toMatchObject({ drops: [] });
  }, 120_000);

  it('are counted as dropped where a rule refuses them', async () => {
    await lab.resolve(receiver);
    const forwarder = await lab.forwarding(to(receiver));
    await ready(forwarder);
    await lab.read('relay', 'nft', 'add rule inet own out udp dport 5001 udp sport 40001 drop');
    const before = (await counts(forwarder)) as { txPackets: number };
    const arrived = await queued(forwarder, frames(300));
    expect(arrived.map((frame) => family.read(frame).sourcePort)).not.toContain(40_001);
    expect(arrived).toHaveLength(200);
    await eventually(async () =>
      expect(await counts(forwarder)).toMatchObject({
        txPackets: before.txPackets + 200,
        drops: [{ reason: 'not_permitted', packets: 100 }],
      }),
    );
  });

  it('keep what loops are known by: IPv4 packets leave through the raw socket where loops are looked for', async () => {
    await lab.resolve(receiver);
    await lab.offloads('out1', true);
    const forwarder = await lab.forwarding({ ...to(receiver), keepDuplicates: false });
    await expect.poll(() => forwarder.ways()).toContain(WAY);
    const many = (round: number): Buffer[] =>
      Array.from({ length: 3_000 }, (_, i) =>
        family.frame({ payload: Buffer.from(`${round} ${i}`.padEnd(60)), sourcePort: 40_000, number: i }),
      );
    let round = 0;
    await eventually(async () => {
      const arrived = await queued(forwarder, many(round++));
      if (family.name === 'ipv6') {
        expect(arrived.length).toBeLessThan(1_500);
        return;
      }
      expect(arrived.map((frame) => readFrame(frame).id)).toEqual(Array.from({ length: 3_000 }, (_, i) => 1000 + i));
    });
  });

  it('are exact while the receiver goes and returns', async () => {
    const absent = `${family.network}77`;
    const prefix = family.name === 'ipv4' ? '/24' : '/64';
    const address = (verb: string): Promise<void> =>
      lab.ip(
        'sink1',
        `address ${verb} ${absent}${prefix} dev sink1${verb === 'add' && prefix === '/64' ? ' nodad' : ''}`,
      );
    await address('add');
    const forwarder = await lab.forwarding(to(absent));
    await expect.poll(() => forwarder.ways()).toContain(WAY);
    const capture = await lab.capture(1, family.name);
    const sender = lab.sender();
    let sent = 0;
    const stream = async (packets: number): Promise<void> => {
      for (let i = 0; i < packets; i += 100) {
        await forwarder.whilePaused(() => sender.frames(...frames(100)));
        sent += 100;
      }
    };
    await eventually(async () => {
      await stream(100);
      expect(await sockets()).toHaveLength(3);
    });
    await stream(1000);
    await address('delete');
    await lab.ip('relay', `neighbour delete ${absent} dev out1`);
    await stream(2000);
    await address('add');
    const read = async (): Promise<{ txPackets: number; drops: { reason: string; packets: number }[] }> =>
      (await counts(forwarder)) as never;
    await eventually(async () => {
      const { txPackets } = await read();
      await stream(100);
      await eventually(async () => expect((await read()).txPackets).toBeGreaterThanOrEqual(txPackets + 100));
    });
    await stream(1000);
    await eventually(async () => {
      const { txPackets, drops } = await read();
      expect(txPackets + drops.reduce((sum, { packets }) => sum + packets, 0)).toBe(sent);
    });
    const { txPackets, drops } = await read();
    const arrived = (await capture.rest()).filter((frame) => {
      const wanted = family.name === 'ipv4' ? 0x0800 : 0x86dd;
      return frame.readUInt16BE(12) === wanted && family.read(frame).destination === family.text(absent);
    });
    expect(arrived).toHaveLength(txPackets);
    expect(drops).toMatchObject([{ reason: 'no_neighbour' }]);
    expect(txPackets).toBeGreaterThan(2000);
  }, 60_000);

  it('leave through the raw socket where the port is not theirs to take, or another program has it', async () => {
    await lab.resolve(receiver);
    const forwarder = await lab.forwarding(to(receiver));
    await expect.poll(() => forwarder.ways()).toContain(WAY);
    await lab.read('relay', 'sysctl', '-w', 'net.ipv4.ip_local_reserved_ports=40001');
    const program = new LineProcess(
      lab.namespace('relay'),
      ...['python3', '-c'],
      `
import socket, sys
listener = socket.socket(socket.AF_INET6 if "${family.name}" == "ipv6" else socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("", 40002))
print("ready", flush=True)
sys.stdin.read()
`,
    );
    expect(await program.line()).toBe('ready');
    await eventually(async () => {
      expect(await queued(forwarder, frames(90))).toHaveLength(90);
      expect(await sockets()).toMatchObject([expect.stringContaining(':40000')]);
    });
    await eventually(async () => {
      await queued(forwarder, frames(90));
      expect((await forwarder.udpSockets()).failed).toBeGreaterThan(0);
    });
    expect(await forwarder.udpSockets()).toMatchObject({ open: 1, refused: 0 });
    expect(await queued(forwarder, frames(90, 5000))).toHaveLength(90);
    await program.end();
    await eventually(async () => {
      expect(await queued(forwarder, frames(90))).toHaveLength(90);
      expect(await sockets()).toHaveLength(2);
    });
    // The port is given back.
    expect(await forwarder.apply([], { removed: ['simple'] })).toEqual([]);
    await expect.poll(sockets).toEqual([]);
  });

  it('leave through the raw socket where all sockets of a receiver are in use, and are counted', async () => {
    await lab.resolve(receiver);
    const forwarder = await lab.forwarding(to(receiver));
    await expect.poll(() => forwarder.ways()).toContain(WAY);
    // A train of ten for each port, which all suit a UDP socket.
    const trains = (ports: number): Buffer[] =>
      Array.from({ length: ports * 10 }, (_, i) =>
        family.frame({
          ...{ payload: Buffer.alloc(200, i & 255), sourcePort: 40_000 + Math.floor(i / 10) },
          number: i % 10,
        }),
      );
    expect(await forwarder.udpSockets()).toEqual({ open: 0, most: 1024, refused: 0, failed: 0, packetsWithout: 0 });
    await eventually(async () => {
      expect(await queued(forwarder, trains(4))).toHaveLength(40);
      expect(await sockets()).toHaveLength(4);
    });
    const before = await forwarder.udpSockets();
    expect(before).toMatchObject({ open: 4, refused: 0, failed: 0 });
    await lab.offloads('out1', true);
    // Each train is one super-frame.
    expect(await queued(forwarder, trains(4))).toHaveLength(4);
    expect(await forwarder.udpSockets()).toEqual(before);
    const arrived = await queued(forwarder, trains(6));
    const fromPort = Map.groupBy(arrived, (frame) => family.read(frame).sourcePort - 40_000);
    expect([...fromPort].map(([port, { length }]) => [port, length]).sort()).toEqual([
      ...[0, 1, 2, 3].map((port) => [port, 1]),
      ...[4, 5].map((port) => [port, 10]),
    ]);
    expect((await forwarder.udpSockets()).packetsWithout).toBe(before.packetsWithout + 20);
    await eventually(async () => expect((await forwarder.udpSockets()).refused).toBeGreaterThan(0));
    expect(await forwarder.udpSockets()).toMatchObject({ open: 4, failed: 0 });
    expect(await sockets()).toHaveLength(4);
  });

  it('end in a loop of relays as well', async () => {
    await lab.resolve(receiver);
    // What comes back sets the same TTL as the first relay, so that only the payload and what is kept of the headers tell.
    const returning = family.name === 'ipv4' ? '239.5.5.5' : 'ff3e::8000:5';
    const back: RelayDraft = { ...to(receiver, { ttl: 64 }), uid: 'back', input: 'out1', group: returning };
    const options = { ringBytes: 32 << 20 };
    const forwarder = await lab.forwarding(to(receiver, { ttl: 64 }), options);
    await ready(forwarder);
    expect(await forwarder.apply([{ ...back, keepDuplicates: false }])).toEqual([]);
    const other = await ForwarderProcess.start(lab.namespace('sink1'), options);
    try {
      const outputs = [{ key: 'back', interface: 'sink1', address: returning, ttl: 64 }];
      const relay = { uid: 'other', input: 'sink1', group: receiver, port: 5001, outputs };
      expect(await other.apply([relay])).toEqual([]);
      const many = Array.from({ length: 8_000 }, (_, i) =>
        family.frame({ payload: Buffer.from(`${i}`.padEnd(60)), sourcePort: 40_000, number: i }),
      );
      await forwarder.whilePaused(() => lab.sender().frames(...many));
      const rounds = async (): Promise<number> => (await forwarder.relay('back')).rxPackets;
      await eventually(async () => expect(await rounds()).toBeGreaterThan(8_000));
      let last = -1;
      await expect
        .poll(
          async () => {
            const before = last;
            last = await rounds();
            return last - before;
          },
          { timeout: 60_000, interval: 1_000 },
        )
        .toBe(0);
    } finally {
      await other.end();
    }
  }, 120_000);
}
