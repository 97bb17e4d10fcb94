// What becomes of IPv6 packets, seen at the receivers.
import { createHash } from 'node:crypto';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeWithLab, labObstacle } from '../../test/lab/when-possible.ts';
import { type ForwarderProcess, LineProcess, PacketCapture, type RelayDraft } from './forwarder-process.ts';
import { ForwarderTopology } from './forwarder-topology.ts';
import { sentPayload } from './ipv4-frame.ts';
import { addressBytes, cutIpv6Frame, makeIpv6Frame, readIpv6Frame } from './ipv6-frame.ts';

const sha256 = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const hex = (address: string): string => addressBytes(address).toString('hex');

/** Joins a group on sink1, and says the size and SHA-256 of what comes, datagram by datagram, until its input ends. */
const receiver = (group: string, port: number): string => `
import hashlib, select, socket, struct, sys
receiver = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
receiver.bind(("::", ${port}))
index = socket.if_nametoindex("sink1")
receiver.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, socket.inet_pton(socket.AF_INET6, "${group}") + struct.pack("@I", index))
print("ready", flush=True)
while True:
    readable, _, _ = select.select([receiver, sys.stdin], [], [])
    if receiver not in readable:
        break
    datagram = receiver.recv(65536)
    print(len(datagram), hashlib.sha256(datagram).hexdigest(), flush=True)
`;

const group = { group: 'ff3e::8000:1', port: 5001 };
const relay: RelayDraft = {
  uid: 'six',
  input: 'in',
  ...group,
  outputs: [{ key: 'first', interface: 'out1', address: 'ff3e::8000:10', port: 6001 }],
};

describeWithLab('forwarded IPv6 packets', () => {
  let lab: ForwarderTopology;
  beforeAll(async () => {
    if (labObstacle() === undefined) lab = await ForwarderTopology.create({ ipv6: true });
  });
  afterEach(() => lab?.endProcesses());
  afterAll(() => lab?.delete());

  async function relaying(change: Partial<RelayDraft> = {}): Promise<ForwarderProcess> {
    const forwarder = await lab.forwarder();
    expect(await forwarder.apply([{ ...relay, ...change }])).toEqual([]);
    return forwarder;
  }

  it('reach a group on another network, with addresses, hop limit and checksums rewritten', async () => {
    const forwarder = await relaying();
    const capture = await lab.capture(1, 'ipv6');
    await lab.sender().udp({ ...group, ttl: 5, sizes: [1000] });
    const [frame] = (await capture.take(1)).map(readIpv6Frame);
    const mac = (await lab.device('relay', 'out1')).address.replaceAll(':', '');
    expect(frame).toMatchObject({
      destinationMac: '333380000010',
      sourceMac: mac,
      source: hex('2001:db8:1::1'),
      destination: hex('ff3e::8000:10'),
      port: 6001,
      hopLimit: 4,
      udpChecksum: 'right',
      payload: sentPayload(1000),
    });
    expect(await capture.rest()).toEqual([]);
    expect(await forwarder.relay('six')).toMatchObject({
      rxPackets: 1,
      rxBytes: 1048,
      drops: [],
      outputs: [{ key: 'first', txPackets: 1, txBytes: 1048, drops: [], up: true }],
    });
  });

  it('are not taken for a loop because many say the same', async () => {
    const forwarder = await relaying();
    const capture = await lab.capture(1, 'ipv6');
    const sender = lab.sender();
    const hosts = Array.from({ length: 40 }, (_, i) => i + 1);
    for (let round = 0; round < 10; round++) {
      await sender.frames(
        // Every other one without a flow label.
        ...hosts.map((host) => makeIpv6Frame({ source: `2001:db8:1::${host}`, flowLabel: host % 2 === 0 ? 0 : host })),
      );
    }
    expect((await capture.rest()).map(readIpv6Frame)).toHaveLength(400);
    expect((await forwarder.relay('six')).drops).toEqual([]);
  });

  it('reach several groups and a unicast receiver with the fields that each output names', async () => {
    await relaying({
      outputs: [
        { interface: 'out1', address: 'ff3e::8000:10', port: 6001, source: '2001:db8:21::1', ttl: 16, dscp: 46 },
        { interface: 'out1', address: 'ff02::4d', source: 'fe80::1', sourcePort: 7777 },
        { interface: 'out2', address: 'ff3e::8000:12', port: 6003, ttl: 255, dscp: 0 },
        { interface: 'out2', address: '2001:db8:22::2', port: 6004, source: '2001:db8:77::7', sourcePort: 9 },
      ],
    });
    const captures = [await lab.capture(1, 'ipv6'), await lab.capture(2, 'ipv6')];
    const sizes = Array.from({ length: 50 }, (_, i) => 1 + i * 28);
    const flow = { trafficClass: (10 << 2) | 1, flowLabel: 0x54321, hopLimit: 9 };
    await lab.sender().frames(...sizes.map((size) => makeIpv6Frame({ ...flow, payload: sentPayload(size) })));
    const frames = (await Promise.all(captures.map((capture) => capture.rest()))).flat().map(readIpv6Frame);
    const kept = { port: 5001, source: hex('2001:db8:99::99'), sourcePort: 4000, hopLimit: 8, trafficClass: 41 };
    const expected = [
      {
        ...kept,
        destination: hex('ff3e::8000:10'),
        port: 6001,
        source: hex('2001:db8:21::1'),
        hopLimit: 16,
        trafficClass: 185,
      },
      {
        ...kept,
        destination: hex('ff02::4d'),
        source: hex('fe80::1'),
        sourcePort: 7777,
        destinationMac: '33330000004d',
      },
      { ...kept, destination: hex('ff3e::8000:12'), port: 6003, hopLimit: 255, trafficClass: 1 },
      { ...kept, destination: hex('2001:db8:22::2'), port: 6004, source: hex('2001:db8:77::7'), sourcePort: 9 },
    ];
    expect(frames).toHaveLength(expected.length * sizes.length);
    for (const fields of expected) {
      const copies = frames.filter(({ destination }) => destination === fields.destination);
      expect(copies.map(({ payload }) => payload)).toEqual(sizes.map(sentPayload));
      for (const copy of copies) expect(copy).toMatchObject({ ...fields, flowLabel: 0x54321, udpChecksum: 'right' });
    }
  });

  it.each([
    ['the device cuts', true],
    ['the kernel cuts', false],
  ])('of a super-frame and of many at once are what a plain receiver takes, where %s', async (_, device) => {
    await lab.offloads('out1', device);
    if (device) await lab.segmentation('relay', 'out1', true);
    const forwarder = await relaying();
    const plain = new LineProcess(lab.namespace('sink1'), 'python3', '-c', receiver('ff3e::8000:10', 6001));
    expect(await plain.line()).toBe('ready');
    const capture = await lab.capture(1, 'ipv6');
    await lab.sender().udp({ ...group, segment: 1000, sizes: [4500] });
    await lab.sender().frames(...Array.from({ length: 40 }, () => makeIpv6Frame({ payload: sentPayload(1316) })));
    const frames = (await capture.rest()).map(readIpv6Frame);
    const sent = [0, 1000, 2000, 3000, 4000].map((at) => sentPayload(4500).subarray(at, at + 1000));
    sent.push(...Array.from({ length: 40 }, () => sentPayload(1316)));
    for (const payload of sent) expect(await plain.line()).toBe(`${payload.length} ${sha256(payload)}`);
    await plain.end();
    // Where the cable takes super-frames, there are fewer frames than datagrams.
    if (device) expect(frames.length).toBeLessThan(sent.length);
    else expect(frames.map(({ payload }) => payload)).toEqual(sent);
    for (const frame of device ? [] : frames)
      expect(frame).toMatchObject({ port: 6001, hopLimit: 7, udpChecksum: 'right' });
    expect(await forwarder.relay('six')).toMatchObject({ rxPackets: 45, outputs: [{ txPackets: 45, drops: [] }] });
    await lab.offloads('out1', false);
  });

  it('keep a wrong checksum wrong and an absent one absent, and options', async () => {
    await relaying({
      outputs: [
        { interface: 'out1', address: 'ff3e::8000:10', source: '2001:db8:21::1' },
        { interface: 'out1', address: '2001:db8:21::2', source: '2001:db8:21::1' },
      ],
    });
    const capture = await lab.capture(1, 'ipv6');
    await lab
      .sender()
      .frames(
        makeIpv6Frame({ checksum: 0x1234, hopLimit: 1 }),
        makeIpv6Frame({ checksum: 0, hopLimit: 1 }),
        makeIpv6Frame({ extension: 0, hopLimit: 1 }),
        makeIpv6Frame({ extension: 60, hopLimit: 1 }),
      );
    const frames = (await capture.rest()).map(readIpv6Frame);
    for (const destination of ['ff3e::8000:10', '2001:db8:21::2'].map(hex)) {
      const copies = frames.filter((frame) => frame.destination === destination);
      expect(copies.map(({ udpChecksum, extensions }) => [udpChecksum, extensions])).toEqual([
        ['wrong', 0],
        ['none', 0],
        ['right', 8],
        ['right', 8],
      ]);
      for (const copy of copies) expect(copy).toMatchObject({ hopLimit: 1, payload: Buffer.from('mcfleet') });
    }
  });

  it('are counted by name when they have a routing header or are malformed', async () => {
    const forwarder = await relaying();
    const capture = await lab.capture(1, 'ipv6');
    const longer = makeIpv6Frame();
    longer.writeUInt16BE(200, 18);
    const version = makeIpv6Frame();
    version[14] = 0x50;
    const udp = makeIpv6Frame();
    udp.writeUInt16BE(7, 58);
    await lab.sender().frames(makeIpv6Frame({ extension: 43 }), longer, version, udp, makeIpv6Frame());
    expect(await capture.rest()).toHaveLength(1);
    const [input] = (await forwarder.snapshot()).inputs;
    const drops = (input?.drops ?? []).toSorted((a, b) => a.reason.localeCompare(b.reason));
    expect(drops).toEqual(
      ['extension_header', 'malformed_ip_length', 'malformed_ip_version', 'malformed_udp_length'].map((reason) => ({
        reason,
        packets: 1,
      })),
    );
  });

  it('come by source and any port, each relay its own, and others stay in the kernel', async () => {
    const forwarder = await lab.forwarder();
    const to = (last: number) => [{ interface: 'out1', address: `ff3e::8000:${last}` }];
    const from = (last: number): string => `2001:db8:99::${last}`;
    expect(
      await forwarder.apply([
        { ...relay, uid: 'one', sources: [from(1)], outputs: to(21) },
        { ...relay, uid: 'not one', excludedSources: [from(1)], port: null, outputs: to(22) },
        { ...relay, uid: 'four', group: '239.1.1.1', outputs: [{ interface: 'out1', address: '239.10.10.10' }] },
      ]),
    ).toEqual([]);
    const capture = await lab.capture(1, 'ipv6');
    await lab
      .sender()
      .frames(
        makeIpv6Frame({ source: from(1) }),
        makeIpv6Frame({ source: from(2), port: 9 }),
        makeIpv6Frame({ source: from(1), port: 9 }),
        makeIpv6Frame({ destination: 'ff3e::8000:2' }),
        makeIpv6Frame({ destination: 'ff3e:0:1::8000:1' }),
      );
    const frames = (await capture.rest()).map(readIpv6Frame);
    expect(frames.map(({ source, destination, port }) => [source, destination, port])).toEqual([
      [hex(from(1)), hex('ff3e::8000:21'), 5001],
      [hex(from(2)), hex('ff3e::8000:22'), 9],
    ]);
    // The third one passed the filter, which knows no sources; the kernel kept the last two.
    expect((await forwarder.snapshot()).inputs).toMatchObject([{ rxPackets: 3, unmatched: 1, drops: [] }]);
  });

  it('are spread over packet threads by group, each flow in its order', async () => {
    const forwarder = await lab.forwarder({ workers: 2 });
    const numbers = [1, 2, 3, 4, 5, 6, 7, 8];
    const relays = numbers.map((i): RelayDraft => {
      const outputs = [{ interface: 'out1', address: `ff3e::8000:1${i}` }];
      return { ...relay, uid: `${i}`, group: `ff3e::8000:${i}`, outputs };
    });
    expect(await forwarder.apply(relays)).toEqual([]);
    const capture = await lab.capture(1, 'ipv6');
    const rounds = Array.from({ length: 50 }, (_, round) => round);
    const frames = rounds.flatMap((round) =>
      numbers.map((i) => makeIpv6Frame({ destination: `ff3e::8000:${i}`, payload: Buffer.from(`${round}`) })),
    );
    await lab.sender().frames(...frames);
    const arrived = (await capture.rest()).map(readIpv6Frame);
    for (const i of numbers) {
      const flow = arrived.filter(({ destination }) => destination === hex(`ff3e::8000:1${i}`));
      expect(flow.map(({ payload }) => payload.toString())).toEqual(rounds.map(String));
    }
    const { workers } = (await forwarder.call({ call: 'status' })) as { workers: { packets: number }[] };
    expect(workers.map(({ packets }) => packets)).toEqual([expect.any(Number), expect.any(Number)]);
    for (const { packets } of workers) expect(packets).toBeGreaterThan(0);
    expect(workers.reduce((sum, { packets }) => sum + packets, 0)).toBe(numbers.length * rounds.length);
  });

  it('are joined for with MLD, from any source and from some', async () => {
    const forwarder = await lab.forwarder();
    const many = Array.from(
      { length: 150 },
      (_, i): RelayDraft => ({ ...relay, uid: `${i}`, group: `ff3e::9:${i + 1000}` }),
    );
    expect(await forwarder.apply([...many, { ...relay, sources: ['2001:db8:1::1', '2001:db8:1::7'] }])).toEqual([]);
    const held = async (file: string, match: string): Promise<number> =>
      (await lab.read('relay', 'cat', `/proc/net/${file}`)).split('\n').filter((line) => line.includes(match)).length;
    expect(await held('igmp6', 'ff3e0000000000000000000000090')).toBe(0);
    expect(await held('igmp6', `ff3e${'0'.repeat(20)}0009`)).toBe(150);
    expect(await held('mcfilter6', hex('ff3e::8000:1'))).toBe(2);
    expect(await forwarder.apply([], { replaceAll: true })).toEqual([]);
    expect(await held('igmp6', `ff3e${'0'.repeat(20)}0009`)).toBe(0);
  });

  it('are put together from fragments, and cut again where they are too long', async () => {
    const forwarder = await relaying({
      outputs: [
        { key: 'cut', interface: 'out1', address: 'ff3e::8000:10', port: 6001 },
        { key: 'unicast', interface: 'out1', address: '2001:db8:21::2', port: 6001, source: '2001:db8:21::1' },
        { key: 'drop', interface: 'out1', address: 'ff3e::8000:11', dropOversize: true },
      ],
    });
    const plain = new LineProcess(lab.namespace('sink1'), 'python3', '-c', receiver('ff3e::8000:10', 6001));
    expect(await plain.line()).toBe('ready');
    const capture = await lab.capture(1, 'ipv6');
    const payload = Buffer.from(Array.from({ length: 4000 }, (_, i) => (i * 31) & 255));
    const parts = cutIpv6Frame(makeIpv6Frame({ payload }), 1448);
    await lab.sender().frames(...parts.toReversed());
    const cut = await capture.rest();
    // A plain UDP socket gets both: the group's copy and the one to its own address.
    const line = `4000 ${sha256(payload)}`;
    expect([await plain.line(), await plain.line()]).toEqual([line, line]);
    await plain.end();
    expect(cut.map((frame) => [frame[20], frame.length <= 1514])).toEqual(Array.from({ length: 6 }, () => [44, true]));
    const ids = cut.map((frame) => `${frame.subarray(38, 54).toString('hex')} ${frame.readUInt32BE(58)}`);
    expect(new Set(ids).size).toBe(2);
    expect(await forwarder.relay('six')).toMatchObject({
      rxPackets: 1,
      rxBytes: 4048,
      outputs: [
        { key: 'cut', txPackets: 1, txBytes: 4048, drops: [] },
        { key: 'unicast', txPackets: 1, txBytes: 4048, drops: [] },
        { key: 'drop', txPackets: 0, drops: [{ reason: 'mtu', packets: 1 }] },
      ],
    });
    // One that overlaps another spoils the datagram.
    const [first, second, third] = cutIpv6Frame(makeIpv6Frame({ payload }), 1448, 7) as [Buffer, Buffer, Buffer];
    const overlapping = Buffer.from(second);
    overlapping.writeUInt16BE(1440 | 1, 56);
    await lab.sender().frames(first, overlapping, second, third);
    await expect
      .poll(async () => (await forwarder.snapshot()).inputs)
      .toMatchObject([{ drops: [{ reason: 'fragment', packets: 1 }] }]);
    expect(await forwarder.relay('six')).toMatchObject({ rxPackets: 1 });
  });

  it('to an address of the relay are taken, and not refused by its host', async () => {
    const forwarder = await lab.forwarder();
    /** ICMPv6 errors that come back when some are sent to the relay's own address. */
    const refusals = async (): Promise<number> => {
      const script = `
import socket
sender = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
sender.connect(("2001:db8:1::2", 5001))
sender.settimeout(0.3)
refused = 0
for i in range(4):
    try:
        sender.send(bytes(100))
        sender.recv(1)
    except ConnectionRefusedError:
        refused += 1
    except TimeoutError:
        pass
print(refused)
`;
      return Number(await lab.read('source', 'python3', '-c', script));
    };
    expect(await refusals()).toBeGreaterThan(0);
    const unicast = { ...relay, group: '2001:db8:1::2' };
    expect(await forwarder.apply([unicast])).toEqual([]);
    const capture = await lab.capture(1, 'ipv6');
    expect(await refusals()).toBe(0);
    const frames = (await capture.rest()).map(readIpv6Frame);
    expect(frames.map(({ destination, port, udpChecksum }) => [destination, port, udpChecksum])).toEqual(
      Array.from({ length: 4 }, () => [hex('ff3e::8000:10'), 6001, 'right']),
    );
    expect(await forwarder.apply([], { replaceAll: true })).toEqual([]);
    expect(await refusals()).toBeGreaterThan(0);
  });

  it('pass through devices without Ethernet as well', async () => {
    const device = await PacketCapture.start(lab.namespace('relay'), 'mctun6', 'tun');
    await lab.ip('relay', 'address add 2001:db8:9::1/64 dev mctun6 nodad', 'link set mctun6 up');
    const forwarder = await lab.forwarder();
    const back = { ...relay, uid: 'back', input: 'mctun6', group: 'ff3e::8000:3' };
    const out = [{ interface: 'mctun6', address: 'ff3e::8000:4' }];
    expect(await forwarder.apply([back, { ...relay, outputs: out }])).toEqual([]);
    const capture = await lab.capture(1, 'ipv6');
    await lab.sender().frames(makeIpv6Frame());
    device.write(makeIpv6Frame({ destination: 'ff3e::8000:3' }).subarray(14).toString('hex'));
    expect((await capture.rest()).map(readIpv6Frame)).toMatchObject([
      { destination: hex('ff3e::8000:10'), hopLimit: 7 },
    ]);
    expect(await forwarder.relay('six')).toMatchObject({ rxPackets: 1, outputs: [{ txPackets: 1, drops: [] }] });
    await device.end();
  });

  it('and IPv4 ones do not become each other', async () => {
    const forwarder = await lab.forwarder();
    const refusals = await forwarder.apply([
      { ...relay, uid: 'to four', outputs: [{ interface: 'out1', address: '239.1.1.1' }] },
      { ...relay, uid: 'to six', group: '239.1.1.1' },
      { ...relay, uid: 'from four', sources: ['10.0.0.1'] },
      { ...relay, uid: 'mapped', group: '::ffff:239.1.1.1' },
    ]);
    expect(refusals).toMatchObject(
      [
        {
          uid: 'to four',
          reason: 'AddressFamilyMismatch',
          message: /239.1.1.1 is IPv4, but the input is IPv6: relays do not translate/,
        },
        { uid: 'to six', reason: 'AddressFamilyMismatch', message: /ff3e::8000:10 is IPv6, but the input is IPv4/ },
        { uid: 'from four', reason: 'AddressFamilyMismatch' },
        { uid: 'mapped', reason: 'InvalidAddress' },
      ].map(({ message, ...fields }) => ({ ...fields, ...(message && { message: expect.stringMatching(message) }) })),
    );
  });
});
