// IPv6 packets to unicast addresses as super-frames to the neighbour, and when they are left to the kernel.
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithLab } from '../../test/lab/when-possible.ts';
import type { ForwarderProcess, RelayDraft } from './forwarder-process.ts';
import { ForwarderTopology } from './forwarder-topology.ts';
import { addressBytes, makeIpv6Frame, readIpv6Frame } from './ipv6-frame.ts';

const receiver = '2001:db8:21::2';
const to = (address: string, more: object = {}): RelayDraft => ({
  uid: 'six',
  input: 'in',
  group: 'ff3e::8000:1',
  port: 5001,
  outputs: [{ key: 'first', interface: 'out1', address, ...more }],
});

/** Frames of three flows that interleave; some must not be merged, some are too long for the cable. Each tells its number. */
const frames = (count: number): Buffer[] =>
  Array.from({ length: count }, (_, i) => {
    const payload = Buffer.alloc(i % 40 === 21 ? 1452 : i % 10 === 7 ? 90 : 200, i & 255);
    payload.writeUInt32BE(i, 0);
    return makeIpv6Frame({
      payload,
      sourcePort: 4000 + (i % 3),
      flowLabel: 77 + (i % 3),
      ...(i % 25 === 13 && { checksum: 0xbad }),
      ...(i % 25 === 15 && { hopLimit: 3 }),
      ...(i % 25 === 16 && { trafficClass: 0x88 }),
      ...(i % 25 === 17 && { extension: 60 }),
    });
  });

describeWithLab('IPv6 packets to a neighbour', () => {
  let lab: ForwarderTopology;
  beforeEach(async () => {
    lab = await ForwarderTopology.create({ ipv6: true });
  });
  afterEach(() => lab?.delete());

  const queued = (forwarder: ForwarderProcess, sent: readonly Buffer[]): Promise<Buffer[]> =>
    lab.sendQueued(forwarder, sent, 'ipv6');
  const becomes = (forwarder: ForwarderProcess, text: string): Promise<void> =>
    expect.poll(() => forwarder.ways()).toContain(text);

  it('are byte for byte what the kernel makes of them one by one', async () => {
    await lab.resolve(receiver);
    const received: Map<number, Buffer[]>[] = [];
    for (const [transmit, reason] of [
      ['sendmmsg', 'packet by packet to unicast receivers through a raw socket, as asked'],
      ['auto', 'super-frames to the link-layer address of a unicast receiver'],
    ] as const) {
      const forwarder = await lab.forwarding(to(receiver, { ttl: 9, source: '2001:db8:21::1' }), { transmit });
      await becomes(forwarder, reason);
      const got = await queued(forwarder, frames(300));
      expect(got).toHaveLength(300);
      received.push(Map.groupBy(got, (frame) => readIpv6Frame(frame).sourcePort));
      await expect
        .poll(async () => (await forwarder.relay('six')).outputs)
        .toMatchObject([{ txPackets: 300, drops: [] }]);
      await lab.endProcesses();
    }
    expect(received[1]).toEqual(received[0]);
  });

  it('leave several at once where the device cuts', async () => {
    await lab.offloads('out1', true);
    await lab.resolve(receiver);
    const forwarder = await lab.forwarding(to(receiver));
    await becomes(forwarder, 'the device cuts them');
    const sent = Array.from({ length: 100 }, (_, i) =>
      makeIpv6Frame({ payload: Buffer.alloc(300, i), flowLabel: 5, port: 5001 }),
    );
    const received = await queued(forwarder, sent);
    expect(received.length).toBeLessThan(10);
    expect(received.reduce((sum, frame) => sum + frame.length - 62, 0)).toBe(100 * 300);
    expect((await forwarder.relay('six')).outputs).toMatchObject([{ txPackets: 100, txBytes: 100 * 348 }]);
  });

  it('behind a gateway with a link-local address leave to the gateway', async () => {
    await lab.ip('sink1', 'address add fe80::77/64 dev sink1 nodad');
    const forwarder = await lab.forwarding(to('2001:db8:99::5'));
    await lab.ip('relay', 'route add 2001:db8:99::/64 via fe80::77 dev out1');
    // The first ones make the kernel ask for it, and wait for the answer.
    const first = await queued(forwarder, frames(20));
    expect(first).toHaveLength(20);
    await becomes(forwarder, 'super-frames to the link-layer address');
    const { address: mac } = await lab.device('sink1', 'sink1');
    const received = (await queued(forwarder, frames(30))).map(readIpv6Frame);
    expect(received).toHaveLength(30);
    const wanted = {
      destination: addressBytes('2001:db8:99::5').toString('hex'),
      destinationMac: mac.replaceAll(':', ''),
    };
    for (const frame of received) expect(frame).toMatchObject(wanted);
    await lab.ip('relay', 'route replace 2001:db8:99::/64 mtu 1400 via fe80::77 dev out1');
    await becomes(forwarder, 'an MTU of its own');
    expect(await queued(forwarder, frames(20))).toHaveLength(20);
    expect((await forwarder.relay('six')).outputs).toMatchObject([{ drops: [] }]);
  });

  it('are left to the kernel where the host has rules for IPv6, and IPv4 is not', async (context) => {
    if (spawnSync('nft', ['--version']).status !== 0) context.skip('needs nft');
    await lab.resolve(receiver);
    const four = { ...to('10.2.1.2'), uid: 'four', group: '239.1.1.1' };
    await lab.resolve('10.2.1.2');
    const forwarder = await lab.forwarding(to(receiver));
    await becomes(forwarder, 'super-frames to the link-layer address');
    await lab.read('relay', 'nft', 'add table ip6 own');
    await lab.read('relay', 'nft', 'add chain ip6 own out { type filter hook output priority 0; }');
    await lab.read('relay', 'nft', 'add rule ip6 own out udp dport 5001 drop');
    await becomes(forwarder, 'so that the host');
    expect(await queued(forwarder, frames(30))).toHaveLength(0);
    expect((await forwarder.relay('six')).outputs).toMatchObject([
      { txPackets: 0, drops: [{ reason: 'not_permitted', packets: 30 }] },
    ]);
    expect(await forwarder.apply([four], { removed: ['six'] })).toEqual([]);
    await becomes(forwarder, 'super-frames to the link-layer address');
  });
});
