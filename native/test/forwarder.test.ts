// What is forwarded, and how it is changed while packets flow.
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { describeWithLab, labObstacle } from '../../test/lab/when-possible.ts';
import { createForwarder, type ForwarderStatus } from '../index.ts';
import { LineProcess, type RelayDraft } from './forwarder-process.ts';
import { ForwarderTopology, simpleRelay } from './forwarder-topology.ts';
import { makeFrame, readFrame } from './ipv4-frame.ts';

describe('createForwarder', () => {
  it('refuses a ring that no kernel has', () => {
    expect(() => createForwarder({ ringBytes: 1000 })).toThrow(
      'ringBytes must be an integer from 262144 to 4294967296',
    );
  });
});

describeWithLab('forwarder', () => {
  let lab: ForwarderTopology;
  beforeAll(async () => {
    if (labObstacle() === undefined) lab = await ForwarderTopology.create();
  });
  afterEach(() => lab?.endProcesses());
  afterAll(() => lab?.delete());

  const to = (address: string, key = address): RelayDraft['outputs'][number] => ({ key, interface: 'out1', address });

  it('forwards by every relay that wants a packet', async () => {
    const forwarder = await lab.forwarder();
    const relays: RelayDraft[] = [
      { uid: 'exact', input: 'in', group: '239.1.1.1', port: 5001, outputs: [to('239.9.0.1')] },
      { uid: 'any port', input: 'in', group: '239.1.1.1', outputs: [to('239.9.0.2')] },
      { ...simpleRelay, uid: 'one source', sources: ['10.99.99.99', '10.99.99.98'], outputs: [to('239.9.0.3')] },
      { ...simpleRelay, uid: 'other source', sources: ['10.99.99.1'], outputs: [to('239.9.0.4')] },
      { ...simpleRelay, uid: 'not it', excludedSources: ['10.99.99.99', '10.99.99.98'], outputs: [to('239.9.0.6')] },
      { uid: 'unicast', input: 'in', group: '10.1.0.2', port: 5001, outputs: [to('239.9.0.5')] },
    ];
    expect(await forwarder.apply(relays, { replaceAll: true })).toEqual([]);
    const capture = await lab.capture(1);
    const unicast = makeFrame({ destination: '10.1.0.2' });
    Buffer.from((await lab.device('relay', 'in')).address.replaceAll(':', ''), 'hex').copy(unicast);
    const notOurs = Buffer.from(unicast);
    notOurs.writeUInt8(0x02, 0);
    notOurs.writeUInt8(0x77, 5);
    await lab.sender().frames(makeFrame(), makeFrame({ port: 5002 }), makeFrame({ source: '10.99.99.1' }), unicast);
    await lab.sender().frames(notOurs);
    const got = (await capture.rest())
      .map(readFrame)
      .map(({ destination, port, source }) => [destination, port, source]);
    expect(got.toSorted()).toEqual([
      ['239.9.0.1', 5001, '10.99.99.1'],
      ['239.9.0.1', 5001, '10.99.99.99'],
      ['239.9.0.2', 5001, '10.99.99.1'],
      ['239.9.0.2', 5001, '10.99.99.99'],
      ['239.9.0.2', 5002, '10.99.99.99'],
      ['239.9.0.3', 5001, '10.99.99.99'],
      ['239.9.0.4', 5001, '10.99.99.1'],
      ['239.9.0.5', 5001, '10.99.99.99'],
      ['239.9.0.6', 5001, '10.99.99.1'],
    ]);
  });

  it('tells which relays count something new, or are new, or send by a link that changed', async () => {
    const forwarder = await lab.forwarder();
    const changes = async (): Promise<string[]> => ((await forwarder.call({ call: 'changes' })) as string[]).toSorted();
    const other = {
      ...simpleRelay,
      uid: 'other',
      group: '239.1.1.2',
      outputs: [{ ...to('239.9.9.9'), interface: 'out2' }],
    };
    expect(await forwarder.apply([simpleRelay, other])).toEqual([]);
    expect(await changes()).toEqual(['other', 'simple']);
    expect(await changes()).toEqual([]);
    await lab.sender().frames(makeFrame());
    await expect.poll(changes).toEqual(['simple']);
    await expect.poll(changes).toEqual([]);
    expect(await forwarder.relay('simple')).toMatchObject({ rxPackets: 1 });
    await lab.ip('relay', 'link set out2 down');
    await expect.poll(changes).toEqual(['other']);
    await lab.ip('relay', 'link set out2 up');
    await expect.poll(changes).toEqual(['other']);
    await expect.poll(changes).toEqual([]);
    // The same counters, another program.
    expect(await forwarder.apply([{ ...simpleRelay, port: 5002 }, other])).toEqual([]);
    expect(await changes()).toEqual(['simple']);
  });

  it('lets no more pass than a limit allows, and gives no new burst for another change', async () => {
    const forwarder = await lab.forwarder();
    const limited = (burstPackets: number, rate: object): RelayDraft => ({
      ...simpleRelay,
      rateLimit: { packetsPerSecond: null, bitsPerSecond: null, burstPackets, ...rate },
    });
    const packetLimited = limited(5, { packetsPerSecond: 1 });
    expect(await forwarder.apply([packetLimited])).toEqual([]);
    let capture = await lab.capture(1);
    const frames = Array.from({ length: 100 }, (_, i) => makeFrame({ payload: Buffer.from(`${i}`) }));
    const sender = lab.sender();
    await sender.frames(...frames.slice(0, 50));
    expect(await forwarder.apply([{ ...packetLimited, outputs: [...simpleRelay.outputs, to('239.9.9.9')] }])).toEqual(
      [],
    );
    await sender.frames(...frames.slice(50));
    const arrived = (await capture.rest()).map((frame) => readFrame(frame).payload.toString());
    // One more for each second in which this machine stood still.
    expect(arrived.slice(0, 5)).toEqual(['0', '1', '2', '3', '4']);
    expect(arrived.length).toBeLessThan(10);
    const { rxPackets, drops } = await forwarder.relay('simple');
    const passed = new Set(arrived).size;
    expect({ rxPackets, drops }).toEqual({
      rxPackets: 100,
      drops: [{ reason: 'rate_limited', packets: 100 - passed }],
    });

    // A burst of two packets are 3000 bytes; the one that begins within passes.
    expect(await forwarder.apply([limited(2, { bitsPerSecond: 1000 })], { replaceAll: true })).toEqual([]);
    capture = await lab.capture(1);
    await sender.frames(...Array.from({ length: 20 }, () => makeFrame({ payload: Buffer.alloc(1072) })));
    expect((await capture.rest()).length).toBe(3);
  });

  it('tells how long packets took, of one in 16', async () => {
    const forwarder = await lab.forwarder();
    expect(await forwarder.apply([{ ...simpleRelay, outputs: [to('239.9.0.1')] }])).toEqual([]);
    const received = async () => (await forwarder.relay('simple')).rxPackets;
    const sender = lab.sender();
    expect((await forwarder.relay('simple')).latencyBuckets).toEqual([]);
    await sender.frames(makeFrame());
    await expect.poll(received).toBe(1);
    const sum = (counts: readonly number[]): number => counts.reduce((total, count) => total + count, 0);
    const samples = async () => sum((await forwarder.relay('simple')).latencyBuckets);
    await expect.poll(samples).toBe(1);
    // These wait in the ring for 300 ms and more.
    const began = performance.now();
    await forwarder.whilePaused(async () => {
      await sender.frames(...Array.from({ length: 160 }, () => makeFrame()));
      await new Promise((resolve) => setTimeout(resolve, 300));
    });
    await expect.poll(received).toBe(161);
    // The first, and each time 16 more had come.
    await expect.poll(samples).toBe(11);
    const longest = performance.now() - began;
    const { latencyBuckets, latencySumNano } = await forwarder.relay('simple');
    // 2^18 us are 262 ms.
    expect(sum(latencyBuckets.slice(19))).toBeGreaterThanOrEqual(10);
    expect(latencyBuckets.length - 2).toBeLessThan(Math.log2(longest * 1000));
    expect(latencySumNano).toBeGreaterThan(10 * 300e6);
  });

  it('does not take up what it sent itself', async () => {
    const forwarder = await lab.forwarder();
    const back = { ...simpleRelay, uid: 'back', outputs: [{ interface: 'in', address: '239.5.5.5' }] };
    const from = { ...simpleRelay, uid: 'from there', group: '239.5.5.5' };
    expect(await forwarder.apply([back, from])).toEqual([]);
    const capture = await lab.capture(1);
    await lab.sender().frames(makeFrame({ ttl: 9 }), makeFrame({ destination: '239.5.5.5', ttl: 4 }));
    expect((await capture.rest()).map(readFrame)).toMatchObject([{ destination: '239.10.10.10', ttl: 3 }]);
    expect(await forwarder.relay('back')).toMatchObject({ outputs: [{ txPackets: 1 }] });
    expect(await forwarder.relay('from there')).toMatchObject({ rxPackets: 1 });
  });

  it('refuses a relay alone, with a reason, and leaves the others', async () => {
    const forwarder = await lab.forwarder();
    expect(await forwarder.apply([simpleRelay])).toEqual([]);
    const bad = (uid: string, change: object): RelayDraft => ({ ...simpleRelay, uid, ...change });
    const refusals = await forwarder.apply(
      [
        bad('no input', { input: 'nowhere' }),
        bad('ipv6 output', { outputs: [to('ff3e::1')] }),
        bad('no address', { group: 'banana' }),
        bad('group as source', { sources: ['239.1.1.1'] }),
        bad('broadcast', { outputs: [to('255.255.255.255')] }),
        bad('fine', { group: '239.1.1.2' }),
        { ...simpleRelay, group: 'nonsense' },
      ],
      { replaceAll: true },
    );
    const refused = (uid: string, errno: string, reason: string): object => ({ uid, errno, reason });
    expect(refusals).toMatchObject([
      refused('no input', 'ENODEV', 'InterfaceNotFound'),
      refused('ipv6 output', 'EAFNOSUPPORT', 'AddressFamilyMismatch'),
      refused('no address', 'EINVAL', 'InvalidAddress'),
      refused('group as source', 'EINVAL', 'InvalidAddress'),
      refused('broadcast', 'EINVAL', 'InvalidAddress'),
      { ...refused('simple', 'EINVAL', 'InvalidAddress'), message: "input address 'nonsense' is not an IP address" },
    ]);
    // The old program of a refused relay stays in force.
    expect((await forwarder.snapshot()).relays.map(({ uid }) => uid).toSorted()).toEqual(['fine', 'simple']);
    const capture = await lab.capture(1);
    await lab.sender().frames(makeFrame(), makeFrame({ destination: '239.1.1.2' }));
    expect(await capture.take(2)).toHaveLength(2);
    await capture.end();
  });

  it('names a wrong argument and changes nothing', async () => {
    const forwarder = await lab.forwarder();
    const wrong = async (change: object): Promise<unknown> => forwarder.apply([{ ...simpleRelay, ...change }]);
    expect(await wrong({ port: 70_000 })).toEqual({
      error: "relay 'simple': port must be an integer from 1 to 65535, or null, got 70000",
    });
    expect(await wrong({ outputs: [{ ...to('239.9.9.9'), ttl: 0 }] })).toEqual({
      error: "relay 'simple': outputs[0].ttl must be an integer from 1 to 255, or null, got 0",
    });
    expect(await wrong({ outputs: [] })).toEqual({
      error: "relay 'simple': outputs must be an array of 1 to 256 items, got 0",
    });
    expect(await wrong({ outputs: [to('239.9.9.9', 'a'), to('239.9.9.8', 'a')] })).toEqual({
      error: "relay 'simple': outputs[1].key must be unique within the relay, got 'a'",
    });
    expect(await wrong({ uid: 'x'.repeat(65) })).toMatchObject({ error: expect.stringContaining('at most 64 bytes') });
    expect((await forwarder.snapshot()).relays).toEqual([]);
  });

  it('has rings for a quarter of a second at 150,000 packets per second unless told otherwise', async () => {
    const forwarder = await lab.forwarder({ ringBytes: undefined });
    expect(await forwarder.apply([simpleRelay])).toEqual([]);
    const { inputs } = (await forwarder.call({ call: 'status' })) as ForwarderStatus;
    // Rounded up to what the kernel gives.
    expect(inputs[0]?.ringSlots).toBeGreaterThanOrEqual(37_500);
    expect(inputs[0]?.ringSlots).toBeLessThan(37_500 * 1.1);
  });

  it('joins every group once, also beyond what one socket holds, and leaves it with its last relay', async () => {
    const forwarder = await lab.forwarder();
    const joined = async (): Promise<number> =>
      (await lab.read('relay', 'cat', '/proc/net/igmp'))
        .split('\n')
        .filter((line) => /^\s+[0-9A-F]{2}0[12]00EF\s/.test(line)).length;
    const relay = (i: number, uid = `relay ${i}`): RelayDraft => ({ ...simpleRelay, uid, group: `239.0.1.${i}` });
    const numbers = Array.from({ length: 45 }, (_, i) => i + 1);
    expect(await forwarder.apply([...numbers.map((i) => relay(i)), relay(1, 'same group')])).toEqual([]);
    expect(await joined()).toBe(45);
    expect(await forwarder.call({ call: 'status' })).toMatchObject({
      capabilities: expect.arrayContaining(['engine.userspace.v4', 'tx.sendmmsg', 'tx.gso']),
      inputs: [{ ringBytes: 8 << 20, ringSlots: 4096, filter: 'exact', memberships: 45 }],
      outputs: [{ transmit: 'gso' }],
    });
    await forwarder.apply([], { removed: numbers.slice(0, 20).map((i) => `relay ${i}`) });
    expect(await joined()).toBe(26);
    // The same group from given sources only: another kind of membership, on other sockets.
    const sources = numbers.slice(0, 25).map((i) => `10.99.0.${i}`);
    expect(await forwarder.apply([{ ...relay(2), sources }], { replaceAll: true })).toEqual([]);
    expect(await joined()).toBe(1);
    expect(
      (await lab.read('relay', 'cat', '/proc/net/mcfilter')).split('\n').filter((line) => line.includes('ef000102')),
    ).toHaveLength(25);
    await forwarder.apply([], { replaceAll: true });
    expect(await joined()).toBe(0);
    expect(await forwarder.snapshot()).toEqual({ relays: [], inputs: [] });
  });

  it('filters coarsely beyond what a kernel filter holds, and selects the rest itself', async () => {
    const forwarder = await lab.forwarder();
    // Unicast inputs need no membership.
    const relays = Array.from({ length: 3000 }, (_, i) => ({
      ...simpleRelay,
      uid: `relay ${i}`,
      group: `10.${100 + (i >> 8)}.${i & 255}.1`,
    }));
    expect(await forwarder.apply([...relays, simpleRelay])).toEqual([]);
    expect(await forwarder.call({ call: 'status' })).toMatchObject({ inputs: [{ filter: 'coarse' }] });
    const capture = await lab.capture(1);
    await lab.sender().frames(makeFrame({ destination: '239.1.1.2' }), makeFrame({ payload: Buffer.from('wanted') }));
    expect((await capture.rest()).map(readFrame)).toMatchObject([{ payload: Buffer.from('wanted') }]);
    expect((await forwarder.snapshot()).inputs).toMatchObject([{ rxPackets: 2, unmatched: 1 }]);
    await forwarder.apply([], { removed: relays.map(({ uid }) => uid) });
    expect(await forwarder.call({ call: 'status' })).toMatchObject({ inputs: [{ filter: 'exact' }] });
  });

  it('keeps counters over updates, and starts anew with a new relay', async () => {
    const forwarder = await lab.forwarder();
    await forwarder.apply([{ ...simpleRelay, outputs: [to('239.9.0.1', 'stays'), to('239.9.0.2', 'goes')] }]);
    await lab.sender().frames(makeFrame());
    await expect
      .poll(() => forwarder.relay('simple'))
      .toMatchObject({ rxPackets: 1, outputs: [{ txPackets: 1 }, { txPackets: 1 }] });
    await forwarder.apply([{ ...simpleRelay, outputs: [to('239.9.0.3', 'comes'), to('239.9.0.4', 'stays')] }]);
    await lab.sender().frames(makeFrame());
    await expect
      .poll(() => forwarder.relay('simple'))
      .toMatchObject({
        rxPackets: 2,
        outputs: [
          { key: 'comes', txPackets: 1 },
          { key: 'stays', txPackets: 2 },
        ],
      });
    await forwarder.apply([], { removed: ['simple'] });
    await forwarder.apply([simpleRelay]);
    expect(await forwarder.relay('simple')).toMatchObject({ rxPackets: 0, lastPacketUnixNano: 0 });
  });

  it('loses and repeats no packet while 2,000 changes are made beside its relay', async () => {
    const forwarder = await lab.forwarder({ ringBytes: 64 << 20 });
    await forwarder.apply([{ ...simpleRelay, outputs: [{ interface: 'out1', address: '239.10.10.10', port: 6001 }] }]);
    const script = `${import.meta.dirname}/run-probe.ts`;
    const count = 100_000;
    const receiver = new LineProcess(
      lab.namespace('sink1'),
      ...[process.execPath, script, 'receive', 'sink1'],
      JSON.stringify({ group: '239.10.10.10', port: 6001, count, raw: true, durationMs: 40_000 }),
    );
    await receiver.line();
    const sender = new LineProcess(
      lab.namespace('source'),
      ...[process.execPath, script, 'send', 'src', JSON.stringify({ count, rate: 20_000, size: 200 })],
    );
    await sender.line();
    // The changes overlap with the stream from its beginning; five seconds of packets outlast them.
    expect(await forwarder.call({ call: 'churn', changes: 2000, upserts: [simpleRelay] })).toBe(0);
    const changedBefore = (await forwarder.relay('simple')).rxPackets;
    expect(JSON.parse(await receiver.line())).toMatchObject({ received: count, lost: 0, duplicates: 0, corrupt: 0 });
    expect(changedBefore).toBeGreaterThan(1000);
    expect((await forwarder.relay('simple')).outputs).toMatchObject([{ txPackets: count, drops: [] }]);
    await Promise.all([sender.end(), receiver.end()]);
  });

  it('shares a process with another one, and ends with it without being closed', async () => {
    const forwarder = await lab.forwarder();
    await forwarder.apply([simpleRelay]);
    expect(await forwarder.call({ call: 'second', upserts: [{ ...simpleRelay, outputs: [to('239.9.0.9')] }] })).toEqual(
      [],
    );
    const capture = await lab.capture(1);
    await lab.sender().frames(makeFrame());
    const got = (await capture.rest()).map(readFrame).map(({ destination }) => destination);
    expect(got.toSorted()).toEqual(['239.10.10.10', '239.9.0.9']);
    expect(await forwarder.end()).toEqual(['0']);
  });

  it('ends with a worker that did not close it, also in the middle of a change', async () => {
    const forwarder = new URL('../index.ts', import.meta.url).href;
    const program = `
      import { createForwarder } from ${JSON.stringify(forwarder)};
      import { parentPort } from 'node:worker_threads';
      const kept = { port: null, ttl: null, source: null, dscp: null, sourcePort: null, dropOversize: false };
      const outputs = [{ key: 'a', ifindex: 1, address: '239.9.9.2', ...kept }];
      const input = { inputIfindex: 1, group: '239.9.9.1', port: 1, vlan: null, sources: [], excludedSources: [] };
      const relay = { uid: 'a', ...input, outputs, rateLimit: null, keepDuplicates: false, minTtl: null };
      createForwarder().apply({ replaceAll: true, upserts: [relay], removedUids: [] });
      parentPort.postMessage('under way');
      setInterval(() => {}, 1000);
    `;
    const main = `
      import { once } from 'node:events';
      import { Worker } from 'node:worker_threads';
      const worker = new Worker(new URL(${JSON.stringify(`data:text/javascript,${encodeURIComponent(program)}`)}));
      await once(worker, 'message');
      process.stdout.write(String(await worker.terminate()));
    `;
    const argv = [process.execPath, '--input-type=module', '--eval', main];
    expect(await lab.read('relay', ...argv)).toBe('1');
  });

  it('says with its code that CAP_NET_RAW is missing', async () => {
    const forwarder = new URL('../index.ts', import.meta.url).href;
    const main = `
      import { createForwarder } from ${JSON.stringify(forwarder)};
      try { createForwarder(); } catch (error) { process.stdout.write(error.code + ' ' + error.message); }
    `;
    const bare = ['setpriv', '--bounding-set=-net_raw', '--inh-caps=-net_raw'];
    const argv = [...bare, process.execPath, '--input-type=module', '--eval', main];
    expect(await lab.read('relay', ...argv)).toBe('EPERM open a packet socket for sending: Operation not permitted');
  });

  it('refuses calls after close', async () => {
    const forwarder = await lab.forwarder();
    await forwarder.apply([simpleRelay]);
    expect(await forwarder.call({ call: 'close' })).toBe('closed');
    expect(await forwarder.call({ call: 'close' })).toBe('closed');
    expect(await forwarder.call({ call: 'snapshot' })).toEqual({ error: 'the forwarder is closed' });
    expect(await forwarder.apply([simpleRelay])).toEqual({ error: 'the forwarder is closed' });
    expect((await lab.read('relay', 'cat', '/proc/net/packet')).trim().split('\n')).toHaveLength(1);
  });
});
