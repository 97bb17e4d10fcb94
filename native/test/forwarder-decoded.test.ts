// What leaves, as tshark decodes it: of both families, to groups and to unicast addresses, whole, in fragments, and cut from super-frames,
// by the kernel before the output's device and by a device that was handed them.
import { spawnSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, expect, it, type TestContext } from 'vitest';
import { describeWithLab, labObstacle } from '../../test/lab/when-possible.ts';
import type { PacketCapture, RelayDraft } from './forwarder-process.ts';
import { ForwarderTopology } from './forwarder-topology.ts';
import { fixIpChecksum, makeFrame, sentPayload } from './ipv4-frame.ts';
import { makeIpv6Frame } from './ipv6-frame.ts';
import { decodeFrames } from './tshark.ts';

type Family = 'ipv4' | 'ipv6';

const networks = {
  ipv4: { group: '239.1.1.1', towards: { group: '239.10.10.10', receiver: '10.2.1.2' }, source: '10.2.1.1' },
  ipv6: {
    group: 'ff3e::8000:1',
    towards: { group: 'ff3e::8000:10', receiver: '2001:db8:21::2' },
    source: '2001:db8:21::1',
  },
};
const groupMacs = { ipv4: '01:00:5e:0a:0a:0a', ipv6: '33:33:80:00:00:10' };
const fields = {
  ipv4: 'eth.dst eth.src ip.src ip.dst ip.ttl ip.dsfield.dscp ip.len ip.flags.mf ip.checksum.status',
  ipv6: 'eth.dst eth.src ipv6.src ipv6.dst ipv6.hlim ipv6.tclass.dscp ipv6.plen ipv6.fraghdr.more',
};
const UDP = ['udp.srcport', 'udp.dstport', 'udp.length', 'udp.checksum.status', 'udp.payload'];

const [ALONE, SUPER, LONG] = [4000, 4711, 4712];
const SEGMENT = 1000;
/** From here on it has to travel in fragments. */
const LONG_BYTES = 4000;

/** UDP payloads by source port, in their order. */
const sent = new Map([
  [ALONE, Array.from({ length: 40 }, (_, i) => Buffer.alloc(300, i + 1))],
  [SUPER, [0, 1, 2, 3, 4].map((i) => sentPayload(4500).subarray(i * SEGMENT, (i + 1) * SEGMENT))],
  [LONG, [sentPayload(LONG_BYTES)]],
]);
const DATAGRAMS = 46;

/** The sender counts its packets, so that they can leave together. */
function numbered(index: number, payload: Buffer): Buffer {
  const frame = makeFrame({ sourcePort: ALONE, payload });
  frame.writeUInt16BE(5_000 + index, 18);
  return fixIpChecksum(frame);
}

async function send(lab: ForwarderTopology, family: Family): Promise<void> {
  const { group } = networks[family];
  const sender = lab.sender();
  const alone = (sent.get(ALONE) ?? []).map((payload, index) =>
    family === 'ipv4' ? numbered(index, payload) : makeIpv6Frame({ sourcePort: ALONE, payload }),
  );
  await sender.frames(...alone);
  await sender.udp({ group, port: 5001, sourcePort: SUPER, segment: SEGMENT, sizes: [4500] });
  await sender.udp({ group, port: 5001, sourcePort: LONG, sizes: [LONG_BYTES] });
}

interface Leaving {
  readonly family: Family;
  readonly kind: 'group' | 'receiver';
  readonly transmit: 'auto' | 'gso' | 'sendmmsg';
}

/** Relays all of it and gives what a capture saw, and how the output said that it sends. */
async function relayed(
  lab: ForwarderTopology,
  { family, kind, transmit }: Leaving,
  startCapture: () => Promise<PacketCapture>,
): Promise<{ frames: Buffer[]; ways: unknown }> {
  const network = networks[family];
  const address = network.towards[kind];
  const output = { interface: 'out1', address, port: 6001, ttl: 9, dscp: 46, source: network.source };
  const relay: RelayDraft = { uid: 'decoded', input: 'in', group: network.group, port: 5001, outputs: [output] };
  const forwarder = await lab.forwarding(relay, { transmit });
  const capture = await startCapture();
  await forwarder.whilePaused(() => send(lab, family));
  const frames = await capture.rest();
  const counted = { rxPackets: DATAGRAMS, outputs: [{ txPackets: DATAGRAMS, drops: [] }] };
  expect(await forwarder.relay('decoded')).toMatchObject(counted);
  const { outputs } = (await forwarder.call({ call: 'status' })) as { outputs: unknown };
  return { frames, ways: outputs };
}

/** Every field of every frame, and all datagrams in their order. */
function expectDecoded(frames: readonly Buffer[], { family, kind }: Leaving, ends: { own: string; far: string }): void {
  const network = networks[family];
  const decoded = decodeFrames(frames, [...fields[family].split(' '), ...UDP]).filter(
    // ICMP of the sink, which has no such socket, is none of it.
    (frame) => frame['ip.src'] === network.source || frame['ipv6.src'] === network.source,
  );
  const address = network.towards[kind];
  const addressed =
    family === 'ipv4'
      ? { 'ip.dst': address, 'ip.ttl': '9', 'ip.dsfield.dscp': '46', 'ip.checksum.status': '1' }
      : { 'ipv6.dst': address, 'ipv6.hlim': '9', 'ipv6.tclass.dscp': '46' };
  for (const frame of decoded) expect(frame).toMatchObject({ 'eth.dst': ends.far, 'eth.src': ends.own, ...addressed });

  // tshark shows the datagram with its last fragment.
  const datagrams = decoded.filter((frame) => frame['udp.srcport'] !== '');
  for (const [port, payloads] of sent) {
    const some = datagrams.filter((frame) => frame['udp.srcport'] === String(port));
    expect(some.map((frame) => frame['udp.payload'])).toEqual(payloads.map((payload) => payload.toString('hex')));
    for (const [i, frame] of some.entries()) {
      const udpLength = String((payloads[i]?.length ?? 0) + 8);
      expect(frame).toMatchObject({ 'udp.dstport': '6001', 'udp.length': udpLength, 'udp.checksum.status': '1' });
      const lengthField = family === 'ipv4' ? 'ip.len' : 'ipv6.plen';
      const before = family === 'ipv4' ? 20 : 0;
      if (port !== LONG) expect(frame[lengthField]).toBe(String(Number(udpLength) + before));
    }
  }
  expect(datagrams).toHaveLength(DATAGRAMS);
  const fragments = decoded.filter((frame) =>
    /^(1|True)$/.test(frame[`${family === 'ipv4' ? 'ip.flags.mf' : 'ipv6.fraghdr.more'}`] ?? ''),
  );
  expect(fragments).toHaveLength(Math.ceil((LONG_BYTES + 8) / 1480) - 1);
  expect(decoded).toHaveLength(DATAGRAMS + fragments.length);
}

const needsTshark = (context: TestContext): void => {
  if (spawnSync('tshark', ['--version']).status !== 0) context.skip('needs tshark');
};

describeWithLab('what leaves is decoded by tshark as it should be, field by field', () => {
  let lab: ForwarderTopology;
  beforeAll(async () => {
    if (labObstacle() === undefined) lab = await ForwarderTopology.create({ ipv6: true });
  });
  afterEach(() => lab?.endProcesses());
  afterAll(() => lab?.delete());

  it.for([
    ['ipv4', 'group', 'gso'],
    ['ipv4', 'receiver', 'auto'],
    ['ipv4', 'receiver', 'sendmmsg'],
    ['ipv6', 'group', 'gso'],
    ['ipv6', 'receiver', 'auto'],
    ['ipv6', 'receiver', 'sendmmsg'],
  ] as const)('%s, to a %s, with %s', async ([family, kind, transmit], context) => {
    needsTshark(context);
    if (kind === 'receiver') await lab.resolve(networks[family].towards.receiver);
    const leaving = { family, kind, transmit };
    const { frames, ways } = await relayed(lab, leaving, () => lab.capture(1, family));
    // The output's device cuts nothing.
    const way = transmit === 'sendmmsg' ? 'sendmmsg' : 'gso';
    const reason = way === 'gso' ? expect.stringContaining('kernel cuts') : expect.any(String);
    expect(ways).toMatchObject([{ transmit: way, reason }]);
    const own = (await lab.device('relay', 'out1')).address;
    const far = kind === 'group' ? groupMacs[family] : (await lab.device('sink1', 'sink1')).address;
    expectDecoded(frames, leaving, { own, far });
  });
});

describeWithLab(
  'super-frames that the output hands to its device are cut as they should be, as tshark decodes them',
  () => {
    /** Of a station behind the switch: it does not take what the switch's own interfaces would. */
    const station = '02:00:00:00:00:99';
    let lab: ForwarderTopology;
    beforeAll(async () => {
      if (labObstacle() !== undefined) return;
      lab = await ForwarderTopology.create({ ipv6: true });
      await lab.switchBehindFirstSink();
    });
    afterEach(() => lab?.endProcesses());
    afterAll(() => lab?.delete());

    it.for([
      ['ipv4', 'group'],
      ['ipv4', 'receiver'],
      ['ipv6', 'group'],
      ['ipv6', 'receiver'],
    ] as const)('%s, to a %s', async ([family, kind], context) => {
      needsTshark(context);
      const { receiver } = networks[family].towards;
      if (kind === 'receiver') await lab.ip('relay', `neighbour replace ${receiver} lladdr ${station} dev out1`);
      const leaving = { family, kind, transmit: 'auto' } as const;
      const before = await lab.received(1);
      const { frames, ways } = await relayed(lab, leaving, () => lab.captureBehindSwitch(family));
      expect(ways).toMatchObject([{ transmit: 'gso', reason: expect.stringContaining('the device cuts') }]);
      // They were super-frames on the first cable.
      expect((await lab.received(1)) - before).toBeLessThan(DATAGRAMS / 2);
      const own = (await lab.device('relay', 'out1')).address;
      expectDecoded(frames, leaving, { own, far: kind === 'group' ? groupMacs[family] : station });
    });
  },
);
