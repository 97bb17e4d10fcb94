// Fragments belong together only within one input and outside of VLANs.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithLab } from '../../test/lab/when-possible.ts';
import { type ForwarderProcess, PacketSender } from './forwarder-process.ts';
import { ForwarderTopology, simpleRelay } from './forwarder-topology.ts';
import { fixIpChecksum, makeFrame, readFrame } from './ipv4-frame.ts';

const headers = 34;
const step = 1480;

/** An untagged frame cut into fragments, then tagged. */
function fragments(frame: Buffer, tag?: number): Buffer[] {
  const payload = frame.subarray(headers);
  const parts: Buffer[] = [];
  for (let at = 0; at < payload.length; at += step) {
    const part = Buffer.concat([frame.subarray(0, headers), payload.subarray(at, at + step)]);
    part.writeUInt16BE(part.length - 14, 16);
    part.writeUInt16BE((at + step < payload.length ? 0x2000 : 0) | (at / 8), 20);
    fixIpChecksum(part);
    const mark = tag === undefined ? Buffer.alloc(0) : Buffer.from([0x81, 0, tag >> 8, tag & 255]);
    parts.push(Buffer.concat([part.subarray(0, 12), mark, part.subarray(12)]));
  }
  return parts;
}

describeWithLab('fragments', () => {
  let lab: ForwarderTopology;
  let forwarder: ForwarderProcess;
  let near: PacketSender;
  let far: PacketSender;
  beforeEach(async () => {
    lab = await ForwarderTopology.create();
    forwarder = await lab.forwarder();
    near = lab.sender();
    far = new PacketSender(lab.namespace('sink2'), 'sink2');
  });
  afterEach(async () => {
    await far?.end();
    await lab?.delete();
  });

  const ones = Buffer.alloc(4000, '1');
  const twos = Buffer.alloc(4000, '2');
  // No checksum: nothing but the data path itself keeps the two apart.
  const cut = (payload: Buffer, tag?: number): Buffer[] => fragments(makeFrame({ payload, checksum: 0 }), tag);

  it('of cameras with one address on two networks are not mixed', async () => {
    const second = { ...simpleRelay, uid: 'second', input: 'out2' };
    const outputs = [{ interface: 'out1', address: '239.10.10.11', port: 6002 }];
    await lab.ip('relay', 'link set out1 mtu 9000');
    await lab.ip('sink1', 'link set sink1 mtu 9000');
    expect(await forwarder.apply([simpleRelay, { ...second, outputs }])).toEqual([]);
    const capture = await lab.capture(1);
    const [a1, a2, a3] = cut(ones) as [Buffer, Buffer, Buffer];
    const [b1, b2, b3] = cut(twos) as [Buffer, Buffer, Buffer];
    await near.frames(a1);
    await far.frames(b1, b2);
    await near.frames(a2, a3);
    await far.frames(b3);
    const frames = (await capture.rest()).map(readFrame);
    expect(frames.map(({ port, payload }) => [port, payload.toString()])).toEqual([
      [6001, ones.toString()],
      [6002, twos.toString()],
    ]);
  });

  it('of a VLAN do not spoil those without', async () => {
    expect(await forwarder.apply([simpleRelay])).toEqual([]);
    const capture = await lab.capture(1);
    const tagged = cut(twos, 5);
    const plain = cut(ones);
    await near.frames(...plain.flatMap((frame, i) => [tagged[i] ?? frame, frame]));
    const payloads = (await capture.rest()).map((frame) => frame.subarray(headers, 14 + readFrame(frame).length));
    expect(Buffer.concat(payloads).subarray(8).toString()).toBe(ones.toString());
  });

  it.each(['auto', 'sendmmsg', 'io_uring'] as const)(
    'of one datagram leave in a row, whatever else does: %s',
    async (transmit) => {
      await far.end();
      await lab.endProcesses();
      forwarder = await lab.forwarder({ transmit });
      near = lab.sender();
      await lab.ip('relay', 'link set out1 mtu 1300', 'neigh replace 10.2.1.2 dev out1 lladdr 02:00:00:00:00:01');
      // A batch holds 64: 21 datagrams of three fragments, and one more fragment.
      const outputs = ['239.10.10.10', '10.2.1.2'].map((address) => ({ interface: 'out1', address, port: 6001 }));
      expect(await forwarder.apply([{ ...simpleRelay, outputs }])).toEqual([]);
      const capture = await lab.capture(1);
      const { pid } = forwarder.child;
      if (pid === undefined) throw new Error('no process');
      process.kill(pid, 'SIGSTOP');
      const count = 100;
      const packets = Array.from({ length: count }, (_, i) => {
        const payload = Buffer.alloc(3000);
        payload.writeUInt16BE(i);
        return makeFrame({ id: 1000 + i, payload });
      });
      await near.frames(...packets.flatMap((frame) => fragments(frame)));
      process.kill(pid, 'SIGCONT');
      const arrived = await capture.rest();
      expect(arrived).toHaveLength(count * outputs.length * 3);
      // A receiver gives up a datagram when more than 64 fragments of the same source come between its own.
      const last = new Map<string, number>();
      const between = arrived.map((frame, i) => {
        const datagram = frame.toString('hex', 18, 20) + frame.toString('hex', 30, 34);
        const before = last.get(datagram) ?? i - 1;
        last.set(datagram, i);
        return i - before - 1;
      });
      expect(Math.max(...between)).toBe(0);
    },
  );

  /** Fragments of as many senders at once, all first ones, and then the second ones of the last sender up to the first. */
  async function sendAbreast(count: number, size: number): Promise<void> {
    const parts = Array.from({ length: count }, (_, i) => {
      const payload = Buffer.alloc(size, `${i} `);
      return fragments(makeFrame({ source: `10.99.${i >> 8}.${i & 255}`, payload }));
    });
    const firsts = parts.flatMap((all) => all.slice(0, 1));
    const seconds = parts.flatMap((all) => all.slice(1)).toReversed();
    for (const frames of [firsts, seconds]) {
      for (let i = 0; i < count; i += 100) await near.frames(...frames.slice(i, i + 100));
    }
  }

  it('of many senders at once are put together', { timeout: 60_000 }, async () => {
    await lab.endProcesses();
    await lab.ip('relay', 'link set out1 mtu 9000');
    await lab.ip('sink1', 'link set sink1 mtu 9000');
    forwarder = await lab.forwarder({ ringBytes: 64 << 20 });
    near = lab.sender();
    const outputs = [{ interface: 'out1', address: '239.10.10.10', port: 6001, dropOversize: true }];
    expect(await forwarder.apply([{ ...simpleRelay, outputs }])).toEqual([]);
    const arrivals = async (count: number, size: number): Promise<string[]> => {
      const capture = await lab.capture(1);
      await sendAbreast(count, size);
      return (await capture.rest()).map((frame) => readFrame(frame).payload.toString());
    };
    const sent = (count: number, size: number): string[] =>
      Array.from({ length: count }, (_, i) => Buffer.alloc(size, `${i} `).toString()).toReversed();
    expect(await arrivals(1056, 2900)).toEqual(sent(1056, 2900));
    expect((await forwarder.snapshot()).inputs).toMatchObject([{ drops: [] }]);
    // Memory for 2112 small ones: the first 88 are given up, and told of by name.
    expect(await arrivals(2200, 1800)).toEqual(sent(2200, 1800).slice(0, 2112));
    expect((await forwarder.snapshot()).inputs).toMatchObject([
      { drops: [{ reason: 'too_many_fragments', packets: 88 }] },
    ]);
  });

  it('that never become whole are counted, and those of other groups do not stand in the way', async () => {
    expect(await forwarder.apply([simpleRelay])).toEqual([]);
    const capture = await lab.capture(1);
    const [first, second, third] = cut(ones) as [Buffer, Buffer, Buffer];
    const foreign = fragments(makeFrame({ destination: '239.1.1.9', payload: ones }));
    const overlapping = Buffer.from(second);
    overlapping.writeUInt16BE(0x2000 | 92, 20);
    await near.frames(first, ...foreign, fixIpChecksum(overlapping), second, third);
    expect(await capture.rest()).toEqual([]);
    expect((await forwarder.snapshot()).inputs).toMatchObject([
      { rxPackets: 4, unmatched: 3, drops: [{ reason: 'fragment', packets: 1 }] },
    ]);
  });
});
