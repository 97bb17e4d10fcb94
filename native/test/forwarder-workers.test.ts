// Several packet threads, and the rings that super-frames have for themselves, as a receiver sees them.
import { readdirSync, readFileSync } from 'node:fs';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeWithLab, labObstacle } from '../../test/lab/when-possible.ts';
import type { ForwarderOptions } from '../index.ts';
import { createForwarder } from '../index.ts';
import { type ForwarderProcess, LineProcess, type RelayDraft } from './forwarder-process.ts';
import { eventually, ForwarderTopology, simpleRelay } from './forwarder-topology.ts';
import { makeFrame, readFrame } from './ipv4-frame.ts';

interface StatusReport {
  readonly inputs: readonly {
    readonly ringSlots: number;
    readonly longRingSlots: number;
    readonly longRingError: string;
  }[];
  readonly workers: readonly { readonly index: number; readonly cpu: number | null; readonly packets: number }[];
}

const GROUPS = 8;
const script = `${import.meta.dirname}/run-probe.ts`;

/** Groups 239.1.1.1 and up, each to one of its own. */
const relays: readonly RelayDraft[] = Array.from({ length: GROUPS }, (_, i) => ({
  ...simpleRelay,
  uid: `relay ${i}`,
  group: `239.1.1.${i + 1}`,
  // A source that the receiver's own path filter takes.
  outputs: [{ interface: 'out1', address: `239.10.10.${i + 1}`, port: 6001, source: '10.2.1.1' }],
}));

describeWithLab('several packet threads', () => {
  let lab: ForwarderTopology;
  beforeAll(async () => {
    if (labObstacle() === undefined) lab = await ForwarderTopology.create();
  });
  afterEach(() => lab?.endProcesses());
  afterAll(() => lab?.delete());

  async function start(options: ForwarderOptions, drafts = relays): Promise<ForwarderProcess> {
    const forwarder = await lab.forwarder(options);
    expect(await forwarder.apply(drafts)).toEqual([]);
    return forwarder;
  }

  const status = async (forwarder: ForwarderProcess): Promise<StatusReport> =>
    (await forwarder.call({ call: 'status' })) as StatusReport;

  /** Sends to some of the groups at once; what the receivers of each say. */
  async function probe(groups: number, sending: object, count: number): Promise<Record<string, unknown>[]> {
    const numbers = Array.from({ length: groups }, (_, i) => i + 1);
    const receivers = numbers.map((i) => {
      const options = { group: `239.10.10.${i}`, port: 6001, count, durationMs: 50_000, idleMs: 10_000 };
      const argv = [process.execPath, script, 'receive', 'sink1', JSON.stringify(options)];
      return new LineProcess(lab.namespace('sink1'), ...argv);
    });
    await Promise.all(receivers.map((receiver) => receiver.line()));
    const senders = numbers.map((i) => {
      const options = { group: `239.1.1.${i}`, port: 5001, count, ...sending };
      return new LineProcess(
        lab.namespace('source'),
        ...[process.execPath, script, 'send', 'src', JSON.stringify(options)],
      );
    });
    const sent = await Promise.all(
      senders.map(async (sender) => {
        await sender.line();
        return JSON.parse(await sender.line());
      }),
    );
    const received = await Promise.all(receivers.map(async (receiver) => JSON.parse(await receiver.line())));
    await Promise.all([...senders, ...receivers].map((program) => program.end()));
    expect(received.map(({ payloadSha256 }) => payloadSha256)).toEqual(sent.map(({ payloadSha256 }) => payloadSha256));
    return received;
  }

  const whole = (count: number) => ({ received: count, lost: 0, duplicates: 0, reordered: 0, corrupt: 0 });

  it('share the groups of an input: all forward, nothing is lost, doubled or out of order', async () => {
    const count = 10_000;
    const forwarder = await start({ ringBytes: 32 << 20, workers: 2 });
    const received = await probe(4, { rate: 4_000, flows: 3 }, count);
    expect(received).toMatchObject(Array.from({ length: 4 }, () => whole(count)));
    const { workers, inputs } = await status(forwarder);
    expect(workers).toMatchObject([
      { index: 0, cpu: null },
      { index: 1, cpu: null },
    ]);
    for (const { packets } of workers) expect(packets).toBeGreaterThan(0);
    expect(workers.reduce((sum, { packets }) => sum + packets, 0)).toBe(4 * count);
    expect(inputs).toMatchObject([{ ringSlots: (2 * (32 << 20)) / 2048 }]);
    const snapshot = await forwarder.snapshot();
    expect(snapshot.inputs).toMatchObject([{ rxPackets: 4 * count, unmatched: 0, kernelDrops: 0, drops: [] }]);
    for (const relay of snapshot.relays.filter(({ rxPackets }) => rxPackets > 0))
      expect(relay).toMatchObject({ rxPackets: count, outputs: [{ txPackets: count, drops: [] }] });
  });

  it('put fragments of every group together', async () => {
    const forwarder = await start({ workers: 2 });
    const capture = await lab.capture(1);
    const sender = lab.sender();
    const sizes = Array.from({ length: 10 }, (_, i) => 3000 + i);
    for (let i = 1; i <= GROUPS; i++) await sender.udp({ group: `239.1.1.${i}`, port: 5001, sizes });
    await eventually(async () => {
      const { relays: reports } = await forwarder.snapshot();
      expect(reports.map(({ rxPackets }) => rxPackets)).toEqual(Array.from({ length: GROUPS }, () => sizes.length));
    });
    expect((await forwarder.snapshot()).inputs).toMatchObject([{ drops: [], unmatched: 0 }]);
    for (const { packets } of (await status(forwarder)).workers) expect(packets).toBeGreaterThan(0);
    const firsts = (await capture.rest()).filter((frame) => (frame.readUInt16BE(20) & 0x1fff) === 0);
    // Each group's datagrams leave in their order.
    const lengths = Map.groupBy(firsts.map(readFrame), ({ destination }) => destination);
    expect(lengths.size).toBe(GROUPS);
    for (const frames of lengths.values()) expect(frames).toHaveLength(sizes.length);
  });

  it('do not mix the fragments that they make of two senders', async () => {
    await lab.ip('relay', 'link set out1 mtu 1300');
    try {
      // Both to one group, with one source.
      const [first, second] = [relays[1], relays[3]];
      if (first === undefined || second === undefined) throw new Error('no relays');
      const forwarder = await start({ workers: 2 }, [first, { ...second, outputs: first.outputs }]);
      const capture = await lab.capture(1);
      const sender = lab.sender();
      // Each packet with the same identification as one of the other sender, also with none.
      const ids = [...Array.from({ length: 100 }, (_, i) => i), 0x7fff, 0x8000, 0xffff];
      const packet = (relay: RelayDraft, host: number, id: number): Buffer => {
        const payload = Buffer.alloc(1400, String(host));
        payload.writeUInt16BE(id);
        return makeFrame({
          source: `10.9.0.${host}`,
          destination: relay.group,
          station: host,
          id,
          payload,
          checksum: 0,
        });
      };
      await sender.frames(...ids.flatMap((id) => [packet(first, 1, id), packet(second, 2, id)]));
      const arrived = await capture.rest();
      for (const { packets } of (await status(forwarder)).workers) expect(packets).toBe(ids.length);
      expect(arrived).toHaveLength(4 * ids.length);
      // A receiver knows no more of them than source, destination and identification.
      const datagrams = Map.groupBy(arrived, (frame) => frame.readUInt16BE(18));
      const senders = [...datagrams.values()].map((pieces) => new Set(pieces.map((frame) => frame.at(-1))).size);
      expect(Math.max(...senders)).toBe(1);
    } finally {
      await lab.ip('relay', 'link set out1 mtu 1500');
    }
  });

  it('run where they are told to', async () => {
    const allowed = readFileSync('/proc/self/status', 'utf8').match(/^Cpus_allowed_list:\s*(.*)$/m)?.[1] ?? '';
    const cpus = allowed.split(',').flatMap((part) => part.split('-').map(Number));
    const [first = 0, last = first] = [cpus[0], cpus.at(-1)];
    const forwarder = await start({ workers: 2, cpus: [last, first] });
    expect((await status(forwarder)).workers).toMatchObject([
      { index: 0, cpu: last },
      { index: 1, cpu: first },
    ]);
    const tasks = `/proc/${forwarder.child.pid}/task`;
    const places = readdirSync(tasks)
      .map((task) => ({
        name: readFileSync(`${tasks}/${task}/comm`, 'utf8').trim(),
        cpus: readFileSync(`${tasks}/${task}/status`, 'utf8').match(/^Cpus_allowed_list:\s*(.*)$/m)?.[1],
      }))
      .filter(({ name }) => name.startsWith('mcf-forward'))
      .toSorted((a, b) => a.name.localeCompare(b.name));
    expect(places).toEqual([
      { name: 'mcf-forward-0', cpus: String(last) },
      { name: 'mcf-forward-1', cpus: String(first) },
    ]);
    expect(() => createForwarder({ cpus: [8000] })).toThrow(/worker 0: run on CPU 8000, where this process may use /);
    expect(() => createForwarder({ cpus: [first, last] })).toThrow(/cpus must be empty or 1 CPUs/);
  });

  it.each([1, 2])(
    'take super-frames from rings of their own, without a loss when they come, %i workers',
    async (workers) => {
      const count = 20_000;
      await lab.segmentation('source', 'src', true);
      const forwarder = await start({ ringBytes: 64 << 20, workers });
      expect((await status(forwarder)).inputs).toMatchObject([{ longRingSlots: 0 }]);
      const received = await probe(3, { rate: 20_000, segments: 20 }, count);
      expect(received).toMatchObject(Array.from({ length: 3 }, () => whole(count)));
      expect((await status(forwarder)).inputs).toMatchObject([{ longRingSlots: workers * 512, longRingError: '' }]);
      expect((await forwarder.snapshot()).inputs).toMatchObject([{ rxPackets: 3 * count, kernelDrops: 0, drops: [] }]);
    },
  );

  it('keep the order of a flow whose frames lie in both rings', async () => {
    await lab.segmentation('source', 'src', true);
    const forwarder = await start({ ringBytes: 16 << 20 }, [simpleRelay]);
    const segment = 1000;
    const flow = { group: simpleRelay.group, port: 5001, sourcePort: 4711 };
    const long = { ...flow, segment };
    const sender = lab.sender();
    await sender.udp({ ...long, sizes: [segment * 20] });
    await eventually(async () => expect((await status(forwarder)).inputs).toMatchObject([{ longRingSlots: 128 }]));
    const before = (await forwarder.relay('simple')).rxPackets;
    const capture = await lab.capture(1);
    // All of it is queued before any of it is read: long and short frames in turns, told apart by their lengths.
    const lengths: number[] = [];
    await forwarder.whilePaused(async () => {
      for (let i = 0; i < 60; i++) {
        const last = 100 + i;
        await sender.udp({ ...long, sizes: [segment * 20 + last] });
        await sender.udp({ ...flow, sizes: [last, last + 1] });
        lengths.push(...Array.from({ length: 20 }, () => segment), last, last, last + 1);
      }
    });
    await eventually(async () => expect((await forwarder.relay('simple')).rxPackets - before).toBe(lengths.length));
    const received = (await capture.rest()).map((frame) => readFrame(frame).payload.length);
    expect(received).toEqual(lengths);
    expect((await forwarder.snapshot()).inputs).toMatchObject([{ kernelDrops: 0, drops: [] }]);
  });

  it('go on with both rings after the interface was down', async () => {
    await lab.segmentation('source', 'src', true);
    const forwarder = await start({ ringBytes: 16 << 20, workers: 2 }, relays.slice(0, 4));
    const sender = lab.sender();
    const send = async (): Promise<void> => {
      for (let i = 1; i <= 4; i++) {
        const group = { group: `239.1.1.${i}`, port: 5001 };
        await sender.udp({ ...group, segment: 1000, sizes: [20_000] });
        await sender.udp({ ...group, sizes: [500] });
      }
    };
    const expectPackets = (each: number): Promise<void> =>
      eventually(async () => {
        const reports = (await forwarder.snapshot()).relays;
        expect(reports.map(({ rxPackets }) => rxPackets)).toEqual([each, each, each, each]);
      });
    await send();
    await expectPackets(21);
    await eventually(async () => expect((await status(forwarder)).inputs).toMatchObject([{ longRingSlots: 256 }]));
    await lab.ip('relay', 'link set in down');
    await eventually(async () => expect((await forwarder.snapshot()).inputs).toMatchObject([{ up: false }]));
    await lab.ip('relay', 'link set in up');
    await eventually(async () => expect((await forwarder.snapshot()).inputs).toMatchObject([{ up: true }]));
    await lab.hasCarrier('source', 'src');
    await send();
    await expectPackets(42);
    expect((await forwarder.snapshot()).inputs).toMatchObject([{ kernelDrops: 0, drops: [] }]);
  });
});
