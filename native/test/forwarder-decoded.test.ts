// What leaves, as tshark decodes it: of both families, to groups and to unicast addresses, whole, in fragments, and cut from super-frames.
import { spawnSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeWithLab, labObstacle } from '../../test/lab/when-possible.ts';
import type { RelayDraft } from './forwarder-process.ts';
import { ForwarderTopology } from './forwarder-topology.ts';
import { makeFrame, sentPayload } from './ipv4-frame.ts';
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

describeWithLab('what leaves is decoded by tshark as it should be, field by field', () => {
  let lab: ForwarderTopology;
  beforeAll(async () => {
    if (labObstacle() === undefined) lab = await ForwarderTopology.create({ ipv6: true });
  });
  afterEach(() => lab?.endProcesses());
  afterAll(() => lab?.delete());

  /** UDP payloads by source port, in their order. */
  const sent = new Map([
    [ALONE, Array.from({ length: 40 }, (_, i) => Buffer.alloc(300, i + 1))],
    [SUPER, [0, 1, 2, 3, 4].map((i) => sentPayload(4500).subarray(i * SEGMENT, (i + 1) * SEGMENT))],
    [LONG, [sentPayload(LONG_BYTES)]],
  ]);

  async function send(family: Family): Promise<void> {
    const { group } = networks[family];
    const make = family === 'ipv4' ? makeFrame : makeIpv6Frame;
    const sender = lab.sender();
    await sender.frames(...(sent.get(ALONE) ?? []).map((payload) => make({ sourcePort: ALONE, payload })));
    await sender.udp({ group, port: 5001, sourcePort: SUPER, segment: SEGMENT, sizes: [4500] });
    await sender.udp({ group, port: 5001, sourcePort: LONG, sizes: [LONG_BYTES] });
  }

  it.for([
    ['ipv4', 'group', 'gso'],
    ['ipv4', 'receiver', 'auto'],
    ['ipv4', 'receiver', 'sendmmsg'],
    ['ipv6', 'group', 'gso'],
    ['ipv6', 'receiver', 'auto'],
    ['ipv6', 'receiver', 'sendmmsg'],
  ] as const)('%s, to a %s, with %s', async ([family, kind, transmit], context) => {
    if (spawnSync('tshark', ['--version']).status !== 0) context.skip('needs tshark');
    const network = networks[family];
    const address = network.towards[kind];
    const output = { interface: 'out1', address, port: 6001, ttl: 9, dscp: 46, source: network.source };
    const relay: RelayDraft = { uid: 'decoded', input: 'in', group: network.group, port: 5001, outputs: [output] };
    if (kind === 'receiver') await lab.resolve(address);
    const forwarder = await lab.forwarding(relay, { transmit });
    const capture = await lab.capture(1, family);
    await forwarder.whilePaused(() => send(family));
    const frames = await capture.rest();
    expect(await forwarder.relay('decoded')).toMatchObject({ rxPackets: 46, outputs: [{ txPackets: 46, drops: [] }] });

    const decoded = decodeFrames(frames, [...fields[family].split(' '), ...UDP]).filter(
      // ICMP of the sink, which has no such socket, is none of it.
      (frame) => frame['ip.src'] === network.source || frame['ipv6.src'] === network.source,
    );
    const own = (await lab.device('relay', 'out1')).address;
    const far = kind === 'group' ? groupMacs[family] : (await lab.device('sink1', 'sink1')).address;
    const addressed =
      family === 'ipv4'
        ? { 'ip.dst': address, 'ip.ttl': '9', 'ip.dsfield.dscp': '46', 'ip.checksum.status': '1' }
        : { 'ipv6.dst': address, 'ipv6.hlim': '9', 'ipv6.tclass.dscp': '46' };
    for (const frame of decoded) expect(frame).toMatchObject({ 'eth.dst': far, 'eth.src': own, ...addressed });

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
    expect(datagrams).toHaveLength(46);
    const fragments = decoded.filter((frame) =>
      /^(1|True)$/.test(frame[`${family === 'ipv4' ? 'ip.flags.mf' : 'ipv6.fraghdr.more'}`] ?? ''),
    );
    expect(fragments).toHaveLength(Math.ceil((LONG_BYTES + 8) / 1480) - 1);
    expect(decoded).toHaveLength(46 + fragments.length);
  });
});
