// Packets to unicast addresses as super-frames to the neighbour, and when they are left to the kernel.
import { spawnSync } from 'node:child_process';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithLab } from '../../test/lab/when-possible.ts';
import type { ForwarderProcess, RelayDraft, RelayReport } from './forwarder-process.ts';
import { ForwarderTopology, simpleRelay } from './forwarder-topology.ts';
import { fixIpChecksum, makeFrame, readFrame } from './ipv4-frame.ts';

const to = (address: string, more: object = {}): RelayDraft => ({
  ...simpleRelay,
  outputs: [{ key: 'first', interface: 'out1', address, ...more }],
});

/** Frames of three flows that interleave; some must not be merged. Each tells its number. */
const frames = (count: number): Buffer[] =>
  Array.from({ length: count }, (_, i) => {
    const payload = Buffer.alloc(i % 10 === 7 ? 90 : 200, i & 255);
    payload.writeUInt32BE(i, 0);
    const frame = makeFrame({
      payload,
      sourcePort: 4000 + (i % 3),
      port: 5001,
      ...(i % 25 === 13 && { checksum: 0xbad }),
      ...(i % 25 === 14 && { checksum: 0 }),
      ...(i % 25 === 15 && { ttl: 3 }),
      ...(i % 25 === 16 && { fragment: 0x4000 }),
    });
    // Each flow counts its packets, as a sender does.
    frame.writeUInt16BE(1000 + Math.floor(i / 3), 18);
    return fixIpChecksum(frame);
  });
const numbers = (received: readonly Buffer[]): number[] =>
  received.map((frame) => readFrame(frame).payload.readUInt32BE(0));

describeWithLab('packets to a neighbour', () => {
  let lab: ForwarderTopology;
  beforeEach(async () => {
    lab = await ForwarderTopology.create();
  });
  afterEach(() => lab?.delete());

  const queued = async (forwarder: ForwarderProcess, sent: readonly Buffer[]): Promise<Buffer[]> =>
    (await lab.sendQueued(forwarder, sent)).filter(
      (frame) => frame.readUInt16BE(12) === 0x0800 && readFrame(frame).port === 5001,
    );
  const becomes = (forwarder: ForwarderProcess, text: string): Promise<void> =>
    expect.poll(() => forwarder.ways()).toContain(text);
  const counts = async (forwarder: ForwarderProcess): Promise<RelayReport['outputs'][number]> => {
    const [output] = (await forwarder.relay('simple')).outputs;
    if (!output) throw new Error('no output');
    return output;
  };

  it('are byte for byte what the kernel makes of them one by one', async () => {
    await lab.resolve('10.2.1.2');
    const sent = frames(300);
    const received: Map<number, Buffer[]>[] = [];
    for (const [transmit, reason] of [
      ['sendmmsg', 'sendmmsg: packet by packet to unicast receivers through a raw socket, as asked'],
      ['auto', 'gso: super-frames to the link-layer address of a unicast receiver'],
    ] as const) {
      const forwarder = await lab.forwarding(to('10.2.1.2', { ttl: 9, source: '10.2.1.1' }), { transmit });
      expect(await forwarder.ways()).toContain(reason);
      const frames = await queued(forwarder, sent);
      expect(frames).toHaveLength(300);
      received.push(Map.groupBy(frames, (frame) => readFrame(frame).sourcePort));
      expect(await counts(forwarder)).toMatchObject({ txPackets: 300, drops: [] });
      await lab.endProcesses();
    }
    expect(received[1]).toEqual(received[0]);
  });

  it('leave several at once where the device cuts', async () => {
    await lab.offloads('out1', true);
    await lab.resolve('10.2.1.2');
    const forwarder = await lab.forwarding(to('10.2.1.2'));
    await becomes(forwarder, 'the device cuts them');
    const sent = Array.from({ length: 100 }, (_, i) => {
      const frame = makeFrame({ payload: Buffer.alloc(300, i), port: 5001 });
      frame.writeUInt16BE(1 + i, 18);
      return fixIpChecksum(frame);
    });
    const received = await queued(forwarder, sent);
    expect(received.length).toBeLessThan(10);
    expect(received.reduce((sum, frame) => sum + frame.length - 42, 0)).toBe(100 * 300);
    expect(await counts(forwarder)).toMatchObject({ txPackets: 100, txBytes: 100 * 328 });
  });

  it('go through the kernel until it has resolved the address, and follow it afterwards', async () => {
    const forwarder = await lab.forwarding(to('10.2.1.2'));
    expect(await forwarder.ways()).toContain('until the kernel has resolved');
    // The first ones wait in the kernel for the answer.
    expect(numbers(await queued(forwarder, frames(20))).toSorted((a, b) => a - b)).toEqual(
      Array.from({ length: 20 }, (_, i) => i),
    );
    await becomes(forwarder, 'super-frames to the link-layer address');
    await lab.ip('sink1', 'link set sink1 address 02:00:00:00:07:07');
    await lab.ip('relay', 'neighbour replace 10.2.1.2 lladdr 02:00:00:00:07:07 nud reachable dev out1');
    const moved = await queued(forwarder, frames(20));
    expect(moved).toHaveLength(20);
    expect(new Set(moved.map((frame) => frame.toString('hex', 0, 6)))).toEqual(new Set(['020000000707']));
    // One goes through the kernel, so that it asks whether a neighbour is still there that it has not heard of for long.
    await lab.ip('relay', 'neighbour change 10.2.1.2 lladdr 02:00:00:00:07:07 nud stale dev out1');
    const later = await queued(forwarder, frames(90));
    for (const flow of Map.groupBy(numbers(later), (number) => number % 3).values()) {
      expect(flow).toEqual(flow.toSorted((a, b) => a - b));
    }
    expect(later).toHaveLength(90);
    expect(await lab.read('relay', 'ip', 'neighbour', 'show', '10.2.1.2')).toMatch(/DELAY|PROBE|REACHABLE/);
    await lab.ip('relay', 'neighbour delete 10.2.1.2 dev out1');
    await becomes(forwarder, 'until the kernel has resolved');
    expect(await queued(forwarder, frames(20))).toHaveLength(20);
    expect(await counts(forwarder)).toMatchObject({ txPackets: 150, drops: [] });
  });

  it('behind a gateway leave to the gateway', async () => {
    await lab.resolve('10.2.1.2');
    const forwarder = await lab.forwarding(to('10.9.9.9'));
    // Without a route the kernel takes the address to be on the link.
    expect(await forwarder.ways()).toContain('until the kernel has resolved');
    await lab.ip('relay', 'route add 10.9.0.0/16 via 10.2.1.2');
    await becomes(forwarder, 'super-frames to the link-layer address');
    const received = await queued(forwarder, frames(30));
    expect(received).toHaveLength(30);
    expect(received.map(readFrame).every(({ destination }) => destination === '10.9.9.9')).toBe(true);
    await lab.ip('relay', 'route replace 10.9.0.0/16 mtu 1000 via 10.2.1.2');
    await becomes(forwarder, 'an MTU of its own');
    expect(await queued(forwarder, frames(30))).toHaveLength(30);
    await lab.ip('relay', 'route replace 10.9.0.0/16 via 10.2.1.2');
    await becomes(forwarder, 'super-frames to the link-layer address');
    await lab.ip('relay', 'route replace 10.9.0.0/16 nexthop via 10.2.1.2 nexthop via 10.2.1.3');
    await becomes(forwarder, 'several next hops');
  });

  it('are left to the kernel where the host has rules for what it sends', async (context) => {
    if (spawnSync('nft', ['--version']).status !== 0) context.skip('needs nft');
    await lab.resolve('10.2.1.2');
    const automatic = await lab.forwarding(to('10.2.1.2', { source: '10.2.1.1' }));
    await becomes(automatic, 'super-frames to the link-layer address');
    await lab.read('relay', 'nft', 'add table ip own');
    await lab.read('relay', 'nft', 'add chain ip own out { type filter hook output priority 0; }');
    await lab.read('relay', 'nft', 'add rule ip own out udp dport 5001 drop');
    await becomes(automatic, 'so that the host');
    expect(await queued(automatic, frames(30))).toHaveLength(0);
    expect(await counts(automatic)).toMatchObject({ txPackets: 0, drops: [{ reason: 'not_permitted', packets: 30 }] });
    await lab.endProcesses();
    const forced = await lab.forwarding(to('10.2.1.2', { source: '10.2.1.1' }), { transmit: 'gso' });
    expect(await forced.ways()).toContain('super-frames to the link-layer address');
    expect(await queued(forced, frames(30))).toHaveLength(30);
    await lab.endProcesses();
    const again = await lab.forwarding(to('10.2.1.2'));
    await becomes(again, 'so that the host');
    await lab.read('relay', 'nft', 'delete table ip own');
    await becomes(again, 'super-frames to the link-layer address');
    await lab.ip('relay', 'rule add from 10.1.0.0/16 lookup 99');
    await becomes(again, 'so that the host');
  });

  it('that does not answer are counted as dropped, and the others are not held up', async () => {
    const forwarder = await lab.forwarder();
    const living = { key: 'living', interface: 'out1', address: '10.2.1.2' };
    expect(await forwarder.apply([{ ...simpleRelay, outputs: [...to('10.2.1.77').outputs, living] }])).toEqual([]);
    const receive = async (): Promise<number> =>
      (await queued(forwarder, frames(30))).filter((frame) => readFrame(frame).destination === '10.2.1.2').length;
    expect(await receive()).toBe(30);
    // The kernel asks three times, a second each.
    await expect.poll(() => lab.read('relay', 'ip', 'neighbour', 'show', '10.2.1.77')).toContain('FAILED');
    for (let i = 0; i < 3; i++) expect(await receive()).toBe(30);
    // Those as well that were given to the kernel, when it has dropped them.
    const lost = { txPackets: 0, drops: [{ reason: 'no_neighbour', packets: 120 }] };
    await expect.poll(() => counts(forwarder)).toMatchObject(lost);
    // It comes to life, and the kernel finds it.
    await lab.ip('sink1', 'address add 10.2.1.77/24 dev sink1');
    const capture = await lab.capture(1);
    const sender = lab.sender();
    await expect
      .poll(
        async () => {
          await sender.frames(...frames(3));
          return (await counts(forwarder)).txPackets;
        },
        { interval: 100 },
      )
      .toBeGreaterThan(0);
    const arrived = (await capture.rest()).filter(
      (frame) => frame.readUInt16BE(12) === 0x0800 && readFrame(frame).destination === '10.2.1.77',
    ).length;
    await expect.poll(() => counts(forwarder)).toMatchObject({ txPackets: arrived });
  });
});
