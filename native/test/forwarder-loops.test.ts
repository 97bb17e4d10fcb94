// What is taken for a loop of relays, and what is not.
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeWithLab, labObstacle } from '../../test/lab/when-possible.ts';
import type { RelayDraft } from './forwarder-process.ts';
import { ForwarderTopology, simpleRelay } from './forwarder-topology.ts';
import { makeFrame, readFrame } from './ipv4-frame.ts';
import { makeIpv6Frame, readIpv6Frame } from './ipv6-frame.ts';

describeWithLab('loops of relays', () => {
  let lab: ForwarderTopology;
  beforeAll(async () => {
    if (labObstacle() === undefined) lab = await ForwarderTopology.create({ ipv6: true });
  });
  afterEach(() => lab?.endProcesses());
  afterAll(() => lab?.delete());

  const to = (address: string): RelayDraft['outputs'][number] => ({ key: address, interface: 'out1', address });

  it('are not seen where many say the same', async () => {
    const forwarder = await lab.forwarder();
    expect(await forwarder.apply([{ ...simpleRelay, outputs: [to('239.9.0.1')] }])).toEqual([]);
    const capture = await lab.capture(1);
    const sender = lab.sender();
    // As Linux sends: DF, and no identification where the socket is not connected. Others count.
    const heartbeat = (host: number, id: number): Buffer =>
      makeFrame({
        source: `10.9.0.${host}`,
        station: host,
        id,
        fragment: 0x4000,
        payload: Buffer.from('the same of each'),
      });
    const hosts = Array.from({ length: 40 }, (_, i) => i + 1);
    const rounds = 60;
    for (let round = 0; round < rounds; round++) {
      await sender.frames(...hosts.map((host) => heartbeat(host, host % 2 === 0 ? 0 : host * 1000 + round)));
    }
    const arrived = (await capture.rest()).map(readFrame);
    const counts = Object.groupBy(arrived, ({ source }) => source);
    expect(Object.values(counts).map((frames) => frames?.length)).toEqual(hosts.map(() => rounds));
    for (const frame of arrived) {
      expect(frame).toMatchObject({ ipChecksumRight: true, udpChecksum: 'right', fragment: 0x4000 });
    }
    // What had no identification has one now, by which other relays tell the packets apart: none comes again soon. Those of others stay.
    const ids = arrived.filter(({ source }) => Number(source.split('.')[3]) % 2 === 0).map(({ id }) => id);
    expect(new Set(ids).size).toBe((hosts.length / 2) * rounds);
    expect(Math.min(...ids)).toBeGreaterThanOrEqual(128);
    expect(counts['10.9.0.1']?.map(({ id }) => id)).toEqual(Array.from({ length: rounds }, (_, round) => 1000 + round));
    expect((await forwarder.relay('simple')).drops).toEqual([]);
  });

  it('are ended, and nothing else', async () => {
    const forwarder = await lab.forwarder();
    const relays: RelayDraft[] = [
      { ...simpleRelay, uid: 'ends', outputs: [to('239.9.0.1')] },
      { ...simpleRelay, uid: 'keeps', keepDuplicates: true, outputs: [to('239.9.0.2')] },
      { ...simpleRelay, uid: 'high', keepDuplicates: true, minTtl: 4, outputs: [to('239.9.0.3')] },
    ];
    expect(await forwarder.apply(relays)).toEqual([]);
    const capture = await lab.capture(1);
    const sender = lab.sender();
    // A sender that says the same again and again.
    await sender.frames(...Array.from({ length: 20 }, () => makeFrame({ payload: Buffer.from('still here') })));
    // A packet that comes back, first with less and less TTL, then from another station.
    const round = { payload: Buffer.from('round and round') };
    await sender.frames(...Array.from({ length: 15 }, (_, i) => makeFrame({ ...round, ttl: Math.max(8 - i, 1) })));
    const fromAnother = makeFrame({ payload: Buffer.from('round as well') });
    const copy = Buffer.from(fromAnother);
    copy.writeUInt8(0x77, 11);
    await sender.frames(fromAnother, ...Array.from({ length: 10 }, () => copy));
    const arrived = Map.groupBy((await capture.rest()).map(readFrame), ({ destination }) => destination);
    const texts = (address: string) =>
      Object.entries(Object.groupBy(arrived.get(address) ?? [], ({ payload }) => payload.toString())).map(
        ([text, frames]) => [text, frames?.length],
      );
    // Eight of each, for they come back by ways of their own.
    expect(texts('239.9.0.1')).toEqual([
      ['still here', 20],
      ['round and round', 8],
      ['round as well', 8],
    ]);
    expect(texts('239.9.0.2')).toEqual([
      ['still here', 20],
      ['round and round', 15],
      ['round as well', 11],
    ]);
    expect(texts('239.9.0.3')).toEqual([
      ['still here', 20],
      ['round and round', 5],
      ['round as well', 11],
    ]);
    expect((await forwarder.relay('ends')).drops).toEqual([{ reason: 'duplicate', packets: 15 - 8 + 3 }]);
    expect((await forwarder.relay('keeps')).drops).toEqual([]);
    expect((await forwarder.relay('high')).drops).toEqual([{ reason: 'loop', packets: 10 }]);
  });

  const families = [
    {
      family: 'ipv4' as const,
      own: '10.5.0.1',
      fed: '239.1.1.1',
      round: '239.20.0.8',
      sink: '239.9.0.1',
      make: (payload: Buffer, i: number) => makeFrame({ payload, id: 5000 + i }),
      read: (frame: Buffer) => ({ text: readFrame(frame).payload.toString(), mark: readFrame(frame).id }),
    },
    {
      family: 'ipv6' as const,
      own: '2001:db8:5::1',
      fed: 'ff3e::8000:1',
      round: 'ff3e::8000:8',
      sink: 'ff3e::8000:9',
      make: (payload: Buffer) => makeIpv6Frame({ payload, flowLabel: 0x4321 }),
      read: (frame: Buffer) => ({
        text: readIpv6Frame(frame).payload.toString(),
        mark: readIpv6Frame(frame).flowLabel,
      }),
    },
  ];

  it.each(families)('are ended where packets come into them just as they go round, $family', async (given) => {
    const { family, own, fed, round, sink, make, read } = given;
    await lab.ip(
      'relay',
      'link add near type veth peer name back',
      ...['near', 'back'].map((name) => `link set ${name} up`),
    );
    try {
      const forwarder = await lab.forwarder();
      const into = { key: round, interface: 'near', address: round, source: own, ttl: 16 };
      const relays: RelayDraft[] = [
        { ...simpleRelay, uid: 'feeds', group: fed, outputs: [into] },
        { ...simpleRelay, uid: 'goes round', input: 'back', group: round, outputs: [into, to(sink)] },
      ];
      expect(await forwarder.apply(relays)).toEqual([]);
      const capture = await lab.capture(1, family);
      const sender = lab.sender();
      const payloadOf = (i: number): string => `${i} of what goes round`;
      const count = 20;
      const all = Array.from({ length: 2 * count }, (_, i) => payloadOf(i)).sort();
      await sender.frames(...all.slice(0, count).map((payload, i) => make(Buffer.from(payload), i)));
      // At rest: what goes round has come to an end.
      const rounds = (await capture.rest()).map(read).map(({ text }) => text);
      expect([...new Set(rounds)].sort()).toEqual(all.slice(0, count));
      // It did go round. Before the loop is known, one of them came 64 times, and with four marks; the others as well.
      expect(rounds.length).toBeGreaterThan(64);
      const again = await lab.capture(1, family);
      await sender.frames(...all.slice(count).map((payload, i) => make(Buffer.from(payload), count + i)));
      const known = (await again.rest()).map(read).map(({ text }) => text);
      expect([...new Set(known)].sort()).toEqual(all.slice(count));
      expect(known.length).toBeLessThanOrEqual(2 * count);
      expect((await forwarder.relay('goes round')).drops).toMatchObject([{ reason: 'duplicate' }]);
      expect((await forwarder.relay('feeds')).drops).toEqual([]);
    } finally {
      await lab.endProcesses();
      await lab.ip('relay', 'link del near');
    }
  });

  it.each(families)('are not seen where a sender repeats itself, of whom nothing is lost, $family', async (given) => {
    const { family, fed, sink, make, read } = given;
    const forwarder = await lab.forwarder();
    expect(await forwarder.apply([{ ...simpleRelay, group: fed, outputs: [to(sink)] }])).toEqual([]);
    const capture = await lab.capture(1, family);
    const sender = lab.sender();
    // For more than a second, at once and in between.
    const times = 30;
    const burst = Array.from({ length: 20 }, () => make(Buffer.from('said over and over'), 0));
    for (let i = 0; i < times; i++) {
      await sender.frames(...burst);
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    const arrived = (await capture.rest()).map(read);
    expect(arrived.length).toBe(times * burst.length);
    const counts = Object.values(Object.groupBy(arrived, ({ mark }) => mark)).map((packets) => packets?.length ?? 0);
    // Some have a mark, by which it was told that they do not come back.
    expect(counts.length).toBe(2);
    expect(Math.min(...counts)).toBeLessThanOrEqual(8);
    expect((await forwarder.relay('simple')).drops).toEqual([]);
  });

  it.each([1, 2])('are ended where each round cuts the packets into fragments, %i packet threads', async (workers) => {
    const own = '10.5.0.1';
    await lab.ip(
      'relay',
      'link add name near type veth peer name back',
      `address add ${own}/24 dev near`,
      ...['near', 'back'].map((name) => `link set ${name} mtu 1300 up`),
    );
    try {
      const forwarder = await lab.forwarder({ workers });
      const groups = ['239.20.0.2', '239.20.0.4'];
      const into = groups.map((address) => ({ key: address, interface: 'near', address, source: own }));
      // What comes back on one cable goes out there again, and a copy to the sink tells of each round.
      const rounds = groups.map((group, i) => ({
        ...simpleRelay,
        uid: group,
        input: 'back',
        group,
        outputs: [...into.slice(i, i + 1), { ...to(group), key: 'sink' }],
      }));
      expect(await forwarder.apply([{ ...simpleRelay, outputs: into }, ...rounds])).toEqual([]);
      const capture = await lab.capture(1);
      const sender = lab.sender();
      const count = 40;
      for (let i = 0; i < count; i++) {
        const payload = Buffer.alloc(1400, `${workers} ${i} `);
        await sender.frames(makeFrame({ payload, id: [0, 20_000 + i, 50_000 + i][i % 3] ?? 0 }));
      }
      const arrived = (await capture.rest()).length / groups.length;
      // They do come back, and come to an end: some eight of each before the loop is known, for the identification that they were sent with
      // and that which the first round gave them.
      expect(arrived).toBeGreaterThan(count);
      expect(arrived).toBeLessThan(25 * count);
      for (const { drops } of (await forwarder.snapshot()).relays.filter(({ uid }) => uid !== 'simple')) {
        expect(drops).toMatchObject([{ reason: 'duplicate' }]);
      }
    } finally {
      await lab.endProcesses();
      await lab.ip('relay', 'link del near');
    }
  });
});
