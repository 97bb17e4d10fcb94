// Interfaces that go down, vanish and come back.
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithLab } from '../../test/lab/when-possible.ts';
import { type ForwarderProcess, PacketCapture } from './forwarder-process.ts';
import { eventually, ForwarderTopology, simpleRelay } from './forwarder-topology.ts';
import { makeFrame, readFrame, sentPayload } from './ipv4-frame.ts';

describeWithLab('forwarder and interfaces', () => {
  let lab: ForwarderTopology;
  let forwarder: ForwarderProcess;
  beforeEach(async () => {
    lab = await ForwarderTopology.create();
    forwarder = await lab.forwarder();
    expect(await forwarder.apply([twoOutputs])).toEqual([]);
  });
  afterEach(() => lab?.delete());

  const twoOutputs = {
    ...simpleRelay,
    outputs: [
      { key: 'one', interface: 'out1', address: '239.10.10.10' },
      { key: 'unicast', interface: 'out1', address: '10.2.1.2' },
      { key: 'two', interface: 'out2', address: '239.10.10.10' },
    ],
  };
  const frames = (count: number): Buffer[] =>
    Array.from({ length: count }, (_, i) => makeFrame({ payload: Buffer.from(`${i}`) }));
  const outputs = async (): Promise<unknown> =>
    (await forwarder.relay('simple')).outputs.map(({ up, downReason }) => [up, downReason]);

  async function expectOutputs(first: string): Promise<void> {
    const state = [first === '', first];
    await eventually(async () => expect(await outputs()).toEqual([state, state, [true, '']]));
  }

  /** Sends ten packets and tells how many came to each sink. */
  async function exchange(): Promise<number[]> {
    const captures = [await lab.capture(1), await lab.capture(2)];
    await lab.sender().frames(...frames(10));
    const got = await Promise.all(captures.map((capture) => capture.rest()));
    return got.map((all) => all.filter((frame) => readFrame(frame).port === 5001).length);
  }

  it('costs one output what its interface does, and no other', async () => {
    expect(await exchange()).toEqual([20, 10]);
    await lab.ip('relay', 'link set out1 down');
    await expectOutputs('InterfaceDown');
    expect((await exchange())[1]).toBe(10);
    const dropped = { drops: [{ reason: 'interface_down', packets: 10 }], txPackets: 10 };
    expect((await forwarder.relay('simple')).outputs).toMatchObject([dropped, dropped, { txPackets: 20, drops: [] }]);
    await lab.ip('relay', 'link set out1 up');
    await expectOutputs('');
    expect(await exchange()).toEqual([20, 10]);
  });

  it('counts what a cable without carrier would swallow', async () => {
    await lab.ip('sink1', 'link set sink1 down');
    await expectOutputs('NoCarrier');
    await lab.sender().frames(...frames(10));
    const dropped = { drops: [{ reason: 'no_carrier', packets: 10 }], txPackets: 0 };
    await eventually(async () =>
      expect((await forwarder.relay('simple')).outputs).toMatchObject([dropped, dropped, { txPackets: 10 }]),
    );
    await lab.ip('sink1', 'link set sink1 up');
    await expectOutputs('');
    expect(await exchange()).toEqual([20, 10]);
  });

  it('survives the deletion of an output, and uses the new one when told so', async () => {
    await lab.ip('relay', 'link delete out1');
    await expectOutputs('InterfaceNotFound');
    await lab.sender().frames(...frames(10));
    await eventually(async () =>
      expect((await forwarder.relay('simple')).outputs).toMatchObject([
        { drops: [{ reason: 'interface_missing', packets: 10 }] },
        { drops: [{ reason: 'interface_missing', packets: 10 }] },
        { txPackets: 10, drops: [] },
      ]),
    );
    // Told that there is none, it counts on.
    const parked = twoOutputs.outputs.map((output) =>
      output.interface === 'out1' ? { ...output, interface: '' } : output,
    );
    expect(await forwarder.apply([{ ...twoOutputs, outputs: parked }])).toEqual([]);
    await lab.sender().frames(...frames(5));
    await eventually(async () =>
      expect((await forwarder.relay('simple')).outputs).toMatchObject([
        { drops: [{ reason: 'interface_missing', packets: 15 }] },
        { drops: [{ reason: 'interface_missing', packets: 15 }] },
        { txPackets: 15, drops: [] },
      ]),
    );
    await lab.connectSink(1);
    expect(await forwarder.apply([twoOutputs])).toEqual([]);
    await expectOutputs('');
    expect(await exchange()).toEqual([20, 10]);
    // Counters stay with the keys of the outputs.
    expect((await forwarder.relay('simple')).outputs[0]).toMatchObject({
      txPackets: 10,
      drops: [{ reason: 'interface_missing', packets: 15 }],
    });
  });

  it('goes on by itself when interfaces come back with their old index', async () => {
    const vanished = { up: false, downReason: 'InterfaceNotFound' };
    const out1 = await lab.device('relay', 'out1');
    await lab.ip('relay', 'link delete out1');
    await expectOutputs('InterfaceNotFound');
    await lab.connectSink(1, out1.ifindex);
    await expectOutputs('');
    const input = await lab.device('relay', 'in');
    await lab.ip('relay', 'link delete in');
    await eventually(async () => expect((await forwarder.snapshot()).inputs).toMatchObject([vanished]));
    await lab.connectSource(input.ifindex);
    await eventually(async () => expect((await forwarder.snapshot()).inputs).toMatchObject([{ up: true }]));
    await eventually(async () => expect(await lab.read('relay', 'cat', '/proc/net/igmp')).toContain('010101EF'));
    expect(await exchange()).toEqual([20, 10]);
  });

  it('goes on by itself when interfaces are replaced by others of their index before it has heard of it', async () => {
    const [out1, input] = [await lab.device('relay', 'out1'), await lab.device('relay', 'in')];
    await forwarder.whilePaused(async () => {
      await lab.ip('relay', 'link delete out1');
      await lab.connectSink(1, out1.ifindex);
      await lab.ip('relay', 'link delete in');
      await lab.connectSource(input.ifindex);
    });
    await eventually(async () => expect(await lab.read('relay', 'cat', '/proc/net/igmp')).toContain('010101EF'));
    await expectOutputs('');
    expect(await exchange()).toEqual([20, 10]);
  });

  it('takes an output whose interface is not there yet', async () => {
    const relay = { ...twoOutputs, outputs: [...twoOutputs.outputs, { interface: 'later', address: '239.3.3.3' }] };
    expect(await forwarder.apply([relay])).toEqual([]);
    expect((await forwarder.relay('simple')).outputs[3]).toMatchObject({ up: false, downReason: 'InterfaceNotFound' });
    expect(await exchange()).toEqual([20, 10]);
  });

  it('receives again when its input comes up again', async () => {
    const input = async (): Promise<unknown> => {
      const [first] = (await forwarder.snapshot()).inputs;
      return [first?.up, first?.downReason];
    };
    await lab.ip('relay', 'link set in down');
    await eventually(async () => expect(await input()).toEqual([false, 'InterfaceDown']));
    await lab.ip('relay', 'link set in up');
    await eventually(async () => expect(await input()).toEqual([true, '']));
    await lab.hasCarrier('source', 'src');
    expect(await exchange()).toEqual([20, 10]);
    await lab.ip('relay', 'link delete in');
    await eventually(async () => expect(await input()).toEqual([false, 'InterfaceNotFound']));
    const again = { ...simpleRelay, uid: 'again' };
    expect(await forwarder.apply([again])).toMatchObject([
      { uid: 'again', errno: 'ENODEV', reason: 'InterfaceNotFound' },
    ]);
  });

  it('starts by itself on an input that is down at first', async () => {
    await lab.ip('relay', 'link set in down');
    const second = await lab.forwarder();
    expect(await second.apply([{ ...simpleRelay, group: '239.1.1.9' }])).toEqual([]);
    expect((await second.snapshot()).inputs).toMatchObject([{ up: false, downReason: 'InterfaceDown' }]);
    await lab.ip('relay', 'link set in up');
    await eventually(async () => expect((await second.snapshot()).inputs).toMatchObject([{ up: true }]));
    const capture = await lab.capture(1);
    await lab.sender().frames(makeFrame({ destination: '239.1.1.9' }));
    expect((await capture.take(1)).map(readFrame)).toMatchObject([{ destination: '239.10.10.10', port: 6001 }]);
    await capture.end();
  });

  it('receives and sends on devices without a link-layer header', async (context) => {
    if (!existsSync('/dev/net/tun')) context.skip('there is no /dev/net/tun');
    const device = await PacketCapture.start(lab.namespace('relay'), 'tun0', 'tun');
    await lab.ip('relay', 'link set tun0 up');
    const relays = [
      { ...simpleRelay, uid: 'from tun', input: 'tun0' },
      { ...simpleRelay, uid: 'to tun', outputs: [{ interface: 'tun0', address: '239.7.7.7' }] },
    ];
    expect(await forwarder.apply(relays, { replaceAll: true })).toEqual([]);
    await eventually(async () => expect((await forwarder.relay('to tun')).outputs).toMatchObject([{ up: true }]));
    const capture = await lab.capture(1);
    device.write(makeFrame({ ttl: 3 }).subarray(14).toString('hex'));
    const expected = { ttl: 2, port: 6001, ipChecksumRight: true, udpChecksum: 'right' };
    expect((await capture.take(1)).map(readFrame)).toMatchObject([{ ...expected, destination: '239.10.10.10' }]);
    await lab.sender().frames(makeFrame({ ttl: 3 }));
    // IGMP reports go out there as well.
    let packet: Buffer | undefined;
    do [packet] = await device.take(1);
    while (packet?.at(9) !== 17);
    const arrived = readFrame(Buffer.concat([Buffer.alloc(14), packet]));
    expect(arrived).toMatchObject({ ...expected, port: 5001, destination: '239.7.7.7' });
    await Promise.all([capture.end(), device.end()]);
  });

  it('counts what the kernel dropped while nobody read the ring', async () => {
    await forwarder.call({ call: 'close' });
    const small = await lab.forwarder({ ringBytes: 256 * 1024 });
    expect(await small.apply([simpleRelay])).toEqual([]);
    const capture = await lab.capture(1);
    await small.whilePaused(() => lab.sender().frames(...frames(500)));
    const received = await capture.rest();
    // A ring of 256 KiB has 128 slots.
    expect(received).toHaveLength(128);
    expect((await small.snapshot()).inputs).toMatchObject([{ rxPackets: 128, kernelDrops: 372, unmatched: 0 }]);
    expect((await small.snapshot()).inputs).toMatchObject([{ kernelDrops: 372 }]);
  });

  it('counts super-frames that found no room, and mixes up none of the others', async () => {
    expect(await forwarder.apply([simpleRelay])).toEqual([]);
    await lab.offloads('out1', true);
    const sender = lab.sender();
    const group = { group: '239.1.1.1', port: 5001 };
    const segment = 1316;
    // Two lengths in turns, so that a copy taken for the wrong slot would show. All together exceed what the socket may
    // hold beside a ring of 8 MiB.
    const lengths = [segment * 30, segment * 20 + 7];
    const sizes = Array.from({ length: 1000 }, (_, i) => lengths[i % 2] ?? 0);
    await forwarder.whilePaused(() => sender.udp({ ...group, segment, sizes }));
    const datagrams = (1000 / 2) * (30 + 21);
    await eventually(async () => {
      const { rxPackets, drops, outputs } = await forwarder.relay('simple');
      expect(rxPackets).toBe(datagrams);
      expect((drops[0]?.packets ?? 0) + (outputs[0]?.txPackets ?? 0)).toBe(datagrams);
    });
    const { drops, outputs } = await forwarder.relay('simple');
    expect(drops).toMatchObject([{ reason: 'receive_buffer_full' }]);
    const lost = drops[0]?.packets ?? 0;
    expect(lost).toBeGreaterThan(0);
    expect(lost).toBeLessThan(datagrams);
    expect(outputs).toMatchObject([{ txPackets: datagrams - lost, drops: [] }]);
    const capture = await lab.capture(1);
    await sender.udp({ ...group, segment, sizes: lengths });
    const payloads = (await capture.rest()).map((frame) => readFrame(frame).payload);
    expect(payloads).toEqual(lengths.map(sentPayload));
    expect((await forwarder.snapshot()).inputs).toMatchObject([{ kernelDrops: 0, drops: [] }]);
  });
});
