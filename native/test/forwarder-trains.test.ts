// What receivers see of packets that leave several at once.
import { spawnSync } from 'node:child_process';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeWithLab, labObstacle } from '../../test/lab/when-possible.ts';
import type { ForwarderOptions } from '../index.ts';
import { type ForwarderProcess, LineProcess, type RelayDraft } from './forwarder-process.ts';
import { ForwarderTopology, simpleRelay } from './forwarder-topology.ts';
import { type FrameSpec, fixIpChecksum, makeFrame, readFrame } from './ipv4-frame.ts';
import { decodeFrames } from './tshark.ts';

const FLOWS = 5;
const USUAL = 300;

/** A frame of one of several flows, which interleave. */
function flowFrame(index: number, spec: FrameSpec & { readonly tos?: number; readonly size?: number } = {}): Buffer {
  const size = spec.size ?? USUAL;
  const payload = Buffer.from(Array.from({ length: size }, (_, i) => (i + index * 31) & 255));
  const frame = makeFrame({ sourcePort: 4000 + (index % FLOWS), payload, ...spec });
  frame[15] = spec.tos ?? 0;
  // Each flow counts its packets, as a sender does.
  frame.writeUInt16BE((60_000 + Math.floor(index / FLOWS)) & 0xffff, 18);
  return fixIpChecksum(frame);
}

/** Several flows of equal packets, and among them what must not be merged, or ends what is. */
const mixture = Array.from({ length: 400 }, (_, i) => {
  if (i % 40 === 17) return flowFrame(i, { checksum: 0xbad });
  if (i % 40 === 18) return flowFrame(i, { checksum: 0 });
  if (i % 40 === 24) return flowFrame(i, { size: 100 });
  if (i % 40 === 29) return flowFrame(i, { size: 400 });
  if (i % 50 === 31) return flowFrame(i, { ttl: 3 });
  if (i % 50 === 32) return flowFrame(i, { fragment: 0x4000 });
  if (i % 50 === 33) return flowFrame(i, { tos: 0xb8 });
  if (i % 50 === 34) return flowFrame(i, { payload: Buffer.alloc(0) });
  if (i % 50 === 35) return flowFrame(i, { options: Buffer.from('94040000', 'hex') });
  return flowFrame(i);
});

/** Frames by flow, in their order. */
const byFlow = (frames: readonly Buffer[]): Map<number, Buffer[]> =>
  Map.groupBy(frames, (frame) => readFrame(frame).sourcePort);

describeWithLab('packets that leave several at once', () => {
  let lab: ForwarderTopology;
  beforeAll(async () => {
    if (labObstacle() === undefined) lab = await ForwarderTopology.create();
  });
  afterEach(() => lab?.endProcesses());
  afterAll(() => lab?.delete());

  async function start(options: ForwarderOptions, relays: readonly RelayDraft[] = [simpleRelay]) {
    const forwarder = await lab.forwarder(options);
    expect(await forwarder.apply(relays)).toEqual([]);
    return forwarder;
  }

  const queued = (forwarder: ForwarderProcess, frames: readonly Buffer[]): Promise<void> =>
    forwarder.whilePaused(() => lab.sender().frames(...frames));

  async function passed(options: ForwarderOptions, frames = mixture): Promise<Buffer[]> {
    const forwarder = await start(options);
    const capture = await lab.capture(1);
    await queued(forwarder, frames);
    const received = await capture.rest();
    expect((await forwarder.relay('simple')).outputs).toMatchObject([
      { txPackets: frames.length, txBytes: frames.reduce((sum, frame) => sum + frame.length - 14, 0), drops: [] },
    ]);
    await lab.endProcesses();
    return received;
  }

  const transmit = async (forwarder: ForwarderProcess): Promise<unknown> =>
    ((await forwarder.call({ call: 'status' })) as { outputs: unknown }).outputs;

  it('say how they are sent, and why, also when the device changes', async () => {
    const forwarder = await start({});
    for (const on of [false, true]) {
      // Without checksums the device cuts nothing either.
      await lab.offloads('out1', on);
      await expect
        .poll(() => transmit(forwarder))
        .toMatchObject([{ transmit: 'gso', reason: expect.stringContaining(on ? 'the device cuts' : 'kernel cuts') }]);
    }
    await lab.offloads('out1', false);
    const forced = await start({ transmit: 'sendmmsg' });
    expect(await transmit(forced)).toMatchObject([{ transmit: 'sendmmsg', reason: expect.stringContaining('asked') }]);
  });

  it('are byte for byte what one send per packet gives, cut by the kernel', async () => {
    const alone = await passed({ transmit: 'sendmmsg' });
    const merged = await passed({ transmit: 'gso' });
    expect(alone).toHaveLength(mixture.length);
    expect(merged).toHaveLength(mixture.length);
    // Flows may overtake each other.
    expect(byFlow(merged)).toEqual(byFlow(alone));
    const kinds = merged.map((frame) => readFrame(frame).udpChecksum);
    expect(kinds.filter((kind) => kind === 'wrong')).toHaveLength(10);
    expect(kinds.filter((kind) => kind === 'none')).toHaveLength(10);
  });

  it('arrive with right checksums where some of a flow came with unfinished ones', async () => {
    const unicast = { key: 'unicast', interface: 'out1', address: '10.2.1.2', source: '10.2.1.1' };
    for (const options of [{ transmit: 'gso' }, { transmit: 'sendmmsg' }] as const) {
      const forwarder = await start(options, [{ ...simpleRelay, outputs: [...simpleRelay.outputs, unicast] }]);
      const capture = await lab.capture(1);
      await forwarder.whilePaused(async () => {
        const sender = lab.sender();
        for (let i = 0; i < 60; i++) {
          const unfinished = i % 5 < 2;
          const frame = flowFrame(i * FLOWS, unfinished ? { checksum: 'unfinished' } : {});
          await (unfinished ? sender.unfinished(frame) : sender.frames(frame));
        }
      });
      const frames = (await capture.rest()).map(readFrame).filter(({ port }) => port === 6001 || port === 5001);
      expect(Map.groupBy(frames, ({ destination }) => destination).size).toBe(2);
      expect(frames.map(({ udpChecksum }) => udpChecksum)).toEqual(frames.map(() => 'right'));
      expect(frames).toHaveLength(120);
      await lab.endProcesses();
    }
  });

  it('are byte for byte the same through io_uring', async () => {
    const calls = await passed({ transmit: 'sendmmsg' });
    const rings = await passed({ transmit: 'io_uring' });
    expect(rings).toHaveLength(mixture.length);
    // Also long ones, whose payload is sent from where it lies, and what must be fragmented.
    expect(byFlow(rings)).toEqual(byFlow(calls));
    await lab.ip('source', 'link set src mtu 9000');
    await lab.ip('relay', 'link set in mtu 9000', 'link set out1 mtu 5000');
    await lab.ip('sink1', 'link set sink1 mtu 9000');
    const long = Array.from({ length: 30 }, (_, i) => flowFrame(i, { size: i % 2 === 0 ? 4500 : 8000 }));
    const sorted = async (transmit: 'io_uring' | 'sendmmsg'): Promise<string[]> =>
      (await passed({ transmit }, long)).map((frame) => frame.toString('hex')).toSorted();
    const expected = await sorted('sendmmsg');
    // 4528 whole, 8028 in two.
    expect(expected).toHaveLength(15 + 2 * 15);
    expect(await sorted('io_uring')).toEqual(expected);
    await lab.ip('relay', 'link set in mtu 1500', 'link set out1 mtu 1500');
    await lab.ip('sink1', 'link set sink1 mtu 1500');
    await lab.ip('source', 'link set src mtu 1500');
  });

  it('go on without io_uring where it is forbidden, which is told', async () => {
    for (const [errno, reason] of [
      [1, 'forbidden here'],
      [38, 'needs Linux 6.1'],
      [12, 'could not be set up'],
    ] as const) {
      const prefix = ['python3', `${import.meta.dirname}/refuse-call.py`, 'io_uring_setup', String(errno)];
      const forwarder = await lab.forwarder({ transmit: 'io_uring' }, prefix);
      expect(await forwarder.apply([simpleRelay])).toEqual([]);
      expect(await transmit(forwarder)).toMatchObject([
        { transmit: 'sendmmsg', reason: expect.stringContaining(`io_uring is asked for by --transmit`) },
      ]);
      expect(await transmit(forwarder)).toMatchObject([{ reason: expect.stringContaining(reason) }]);
      expect(await forwarder.call({ call: 'status' })).not.toMatchObject({
        capabilities: expect.arrayContaining(['tx.io_uring']),
      });
      const capture = await lab.capture(1);
      await queued(forwarder, [flowFrame(1), flowFrame(2)]);
      expect(await capture.rest()).toHaveLength(2);
      await lab.endProcesses();
    }
  });

  it('are counted by name where io_uring is refused a frame', async () => {
    const forwarder = await start({ transmit: 'io_uring' });
    expect(await transmit(forwarder)).toMatchObject([{ transmit: 'io_uring' }]);
    await lab.read('relay', ...'tc qdisc add dev out1 root tbf rate 4mbit burst 3000 limit 6000'.split(' '));
    const capture = await lab.capture(1);
    await queued(
      forwarder,
      Array.from({ length: 200 }, (_, i) => flowFrame(i, { size: 1000 })),
    );
    const arrived = (await capture.rest()).length;
    await lab.read('relay', ...'tc qdisc del dev out1 root'.split(' '));
    expect(arrived).toBeLessThan(100);
    expect((await forwarder.relay('simple')).outputs).toMatchObject([
      { txPackets: arrived, drops: [{ reason: 'tx_full', packets: 200 - arrived }] },
    ]);
  });

  it('leave as super-frames where the device cuts, with each datagram where it was', async () => {
    await lab.offloads('out1', true);
    const received = await passed({ transmit: 'gso' });
    const alone = await passed({ transmit: 'sendmmsg' });
    await lab.offloads('out1', false);
    expect(alone).toHaveLength(mixture.length);
    expect(received.length).toBeLessThan(mixture.length / 2);
    const payloads = (frames: readonly Buffer[]): Map<number, string> =>
      new Map(
        [...byFlow(frames)]
          .toSorted(([a], [b]) => a - b)
          .map(([flow, some]) => [flow, Buffer.concat(some.map((frame) => readFrame(frame).payload)).toString('hex')]),
      );
    expect(payloads(received)).toEqual(payloads(alone));
  });

  it('leave alone where they exceed the MTU of the output', async () => {
    await lab.ip('relay', 'link set out1 mtu 250');
    const forwarder = await start({ transmit: 'gso' });
    const capture = await lab.capture(1);
    await queued(
      forwarder,
      Array.from({ length: 60 }, (_, i) => flowFrame(i)),
    );
    const frames = (await capture.rest()).map(readFrame);
    await lab.ip('relay', 'link set out1 mtu 1500');
    // 328 bytes in fragments of at most 250.
    expect(frames.map(({ length }) => length)).toEqual(Array.from({ length: 60 }, () => [244, 104]).flat());
    expect((await forwarder.relay('simple')).outputs).toMatchObject([{ txPackets: 60, drops: [] }]);
  });

  it('are decoded by tshark as they should be, field by field', async (context) => {
    const found = spawnSync('tshark', ['--version'], { encoding: 'utf8' });
    if (found.status !== 0) context.skip('needs tshark');
    const sent = Array.from({ length: 120 }, (_, i) => flowFrame(i, { tos: 0x68, fragment: 0x4000 }));
    const frames = await passed({ transmit: 'gso' }, sent);
    const names = 'ip.src ip.dst eth.addr ip.ttl ip.dsfield.dscp ip.flags ip.len ip.checksum.status udp.length';
    const decoded = decodeFrames(frames, [...names.split(' '), 'udp.checksum.status', 'udp.dstport']);
    expect(decoded).toHaveLength(120);
    const mac = (await lab.device('relay', 'out1')).address;
    for (const frame of decoded) {
      expect(frame).toEqual({
        'ip.src': '10.99.99.99',
        'ip.dst': '239.10.10.10',
        'eth.addr': `01:00:5e:0a:0a:0a,${mac}`,
        'ip.ttl': '7',
        'ip.dsfield.dscp': '26',
        'ip.flags': '0x02',
        'ip.len': String(USUAL + 28),
        'ip.checksum.status': '1',
        'udp.length': String(USUAL + 8),
        'udp.checksum.status': '1',
        'udp.dstport': '6001',
      });
    }
  });

  it('reach plain UDP sockets whole, in order and unharmed under load, whoever cuts', async () => {
    const count = 60_000;
    const script = `${import.meta.dirname}/run-probe.ts`;
    // A source that the receiver's own path filter takes.
    const outputs = [{ interface: 'out1', address: '239.10.10.10', port: 6001, source: '10.2.1.1' }];
    const relay = { ...simpleRelay, outputs };
    const options = { group: '239.10.10.10', port: 6001, count, durationMs: 50_000 };
    for (const [sourceCuts, relayCuts] of [
      [false, true],
      [false, false],
      [true, true],
    ] as const) {
      await lab.offloads('out1', relayCuts);
      await lab.segmentation('source', 'src', sourceCuts);
      const forwarder = await start({ ringBytes: 64 << 20 }, [relay]);
      const receiver = new LineProcess(
        lab.namespace('sink1'),
        ...[process.execPath, script, 'receive', 'sink1', JSON.stringify(options)],
      );
      await receiver.line();
      const sender = new LineProcess(
        lab.namespace('source'),
        ...[process.execPath, script, 'send', 'src', JSON.stringify({ count, rate: 30_000, flows: 4, segments: 20 })],
      );
      await sender.line();
      const [sent, received] = [JSON.parse(await sender.line()), JSON.parse(await receiver.line())];
      expect(received).toMatchObject({ received: count, lost: 0, duplicates: 0, reordered: 0, corrupt: 0 });
      expect(received.payloadSha256).toMatch(/^[0-9a-f]{64}$/);
      expect(received.payloadSha256).toBe(sent.payloadSha256);
      expect((await forwarder.relay('simple')).outputs).toMatchObject([{ txPackets: count, drops: [] }]);
      await Promise.all([sender.end(), receiver.end()]);
      await lab.endProcesses();
    }
    await lab.offloads('out1', false);
  });
});
