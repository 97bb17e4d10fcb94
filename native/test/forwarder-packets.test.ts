// What becomes of packets, seen at the receivers.
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeWithLab, labObstacle } from '../../test/lab/when-possible.ts';
import { ForwarderTopology, simpleRelay } from './forwarder-topology.ts';
import { fixIpChecksum, makeFrame, readFrame, sentPayload } from './ipv4-frame.ts';

describeWithLab('forwarded packets', () => {
  let lab: ForwarderTopology;
  beforeAll(async () => {
    if (labObstacle() === undefined) lab = await ForwarderTopology.create();
  });
  afterEach(() => lab?.endProcesses());
  afterAll(() => lab?.delete());

  async function relaying(...outputs: (typeof simpleRelay)['outputs']) {
    const forwarder = await lab.forwarder();
    const relay = outputs.length > 0 ? { ...simpleRelay, outputs } : simpleRelay;
    expect(await forwarder.apply([relay])).toEqual([]);
    return forwarder;
  }

  const group = { group: '239.1.1.1', port: 5001 };

  it('reach a group on another network, with addresses, TTL and checksums rewritten', async () => {
    const forwarder = await relaying();
    const capture = await lab.capture(1);
    await lab.sender().udp({ ...group, ttl: 5, sizes: [1000] });
    const [frame] = (await capture.take(1)).map(readFrame);
    const mac = (await lab.device('relay', 'out1')).address.replaceAll(':', '');
    expect(frame).toMatchObject({
      destinationMac: '01005e0a0a0a',
      sourceMac: mac,
      source: '10.1.0.1',
      destination: '239.10.10.10',
      port: 6001,
      ttl: 4,
      ipChecksumRight: true,
      udpChecksum: 'right',
      payload: sentPayload(1000),
    });
    expect(await capture.rest()).toEqual([]);
    expect(await forwarder.relay('simple')).toMatchObject({
      rxPackets: 1,
      rxBytes: 1028,
      drops: [],
      outputs: [{ key: 'first', txPackets: 1, txBytes: 1028, drops: [], up: true, downReason: '' }],
    });
    expect(Math.abs((await forwarder.relay('simple')).lastPacketUnixNano / 1e6 - Date.now())).toBeLessThan(60_000);
  });

  it('reach several groups and a unicast receiver, none spoiling another', async () => {
    await relaying(
      { interface: 'out1', address: '239.10.10.10', port: 6001, source: '10.2.1.1', ttl: 16 },
      { interface: 'out1', address: '239.10.10.11' },
      { interface: 'out2', address: '239.10.10.12', port: 6003, ttl: 255 },
      { interface: 'out2', address: '10.2.2.2', port: 6004, source: '192.0.2.77' },
    );
    const captures = [await lab.capture(1), await lab.capture(2)];
    const sizes = Array.from({ length: 50 }, (_, i) => 1 + i * 28);
    await lab.sender().udp({ ...group, ttl: 9, sizes });
    const frames = (await Promise.all(captures.map((capture) => capture.rest()))).flat().map(readFrame);
    const expected = [
      { destination: '239.10.10.10', port: 6001, source: '10.2.1.1', ttl: 16 },
      { destination: '239.10.10.11', port: 5001, source: '10.1.0.1', ttl: 8 },
      { destination: '239.10.10.12', port: 6003, source: '10.1.0.1', ttl: 255 },
      { destination: '10.2.2.2', port: 6004, source: '192.0.2.77', ttl: 8 },
    ];
    expect(frames).toHaveLength(expected.length * sizes.length);
    for (const fields of expected) {
      const copies = frames.filter(({ destination }) => destination === fields.destination);
      expect(copies.map(({ payload }) => payload)).toEqual(sizes.map(sentPayload));
      for (const copy of copies) {
        expect(copy).toMatchObject({ ...fields, ipChecksumRight: true, udpChecksum: 'right' });
      }
    }
  });

  it('get the DSCP and source port that an output names, and keep their ECN bits', async () => {
    const changes = { dscp: 46, sourcePort: 7777 };
    await relaying(
      { interface: 'out1', address: '239.10.10.10', ...changes },
      { interface: 'out1', address: '239.10.10.11' },
      { interface: 'out1', address: '10.2.1.2', ...changes },
      { interface: 'out1', address: '239.10.10.12', dscp: 0 },
    );
    const capture = await lab.capture(1);
    await lab.sender().frames(makeFrame({ tos: (10 << 2) | 1, sourcePort: 4000 }));
    const frames = (await capture.rest()).map(readFrame);
    expect(frames.map(({ destination, tos, sourcePort }) => [destination, tos, sourcePort]).toSorted()).toEqual([
      ['10.2.1.2', (46 << 2) | 1, 7777],
      ['239.10.10.10', (46 << 2) | 1, 7777],
      ['239.10.10.11', (10 << 2) | 1, 4000],
      ['239.10.10.12', 1, 4000],
    ]);
    for (const frame of frames) expect(frame).toMatchObject({ ipChecksumRight: true, udpChecksum: 'right' });
  });

  it('of a super-frame get them as well', async () => {
    await relaying({ interface: 'out1', address: '239.10.10.10', dscp: 34, sourcePort: 7777 });
    const capture = await lab.capture(1);
    await lab.sender().udp({ ...group, segment: 1000, sizes: [4500] });
    const frames = (await capture.rest()).map(readFrame);
    expect(frames.map(({ payload }) => payload.length)).toEqual([1000, 1000, 1000, 1000, 500]);
    for (const frame of frames) {
      expect(frame).toMatchObject({ tos: 34 << 2, sourcePort: 7777, ipChecksumRight: true, udpChecksum: 'right' });
    }
  });

  it('keep what stands behind the datagram', async () => {
    await relaying();
    const capture = await lab.capture(1);
    // UDP options (RFC 9868): the IP packet is longer than the datagram.
    const surplus = Buffer.from('0102030405060708ff', 'hex');
    const plain = makeFrame({ payload: Buffer.from('mcfleet!') });
    const frame = Buffer.concat([plain, surplus]);
    frame.writeUInt16BE(plain.length - 14 + surplus.length, 16);
    await lab.sender().frames(fixIpChecksum(frame), plain);
    const [first, second] = await capture.take(2);
    expect(first?.subarray(42)).toEqual(frame.subarray(42));
    expect(second?.subarray(42)).toEqual(plain.subarray(42));
    expect([first, second].map((sent) => readFrame(sent ?? plain))).toMatchObject([
      { length: plain.length - 14 + surplus.length, ipChecksumRight: true },
      { length: plain.length - 14, ipChecksumRight: true, udpChecksum: 'right' },
    ]);
    await capture.end();
  });

  it('pass with TTL 1', async () => {
    await relaying();
    const capture = await lab.capture(1);
    await lab.sender().udp({ ...group, ttl: 1, sizes: [10] });
    expect((await capture.take(1)).map(readFrame)).toMatchObject([{ ttl: 1, ipChecksumRight: true }]);
    await capture.end();
  });

  it('keep a wrong checksum wrong and an absent one absent, and IP options', async () => {
    await relaying(
      { interface: 'out1', address: '239.10.10.10', port: 6001 },
      { interface: 'out1', address: '10.2.1.2', port: 6001 },
    );
    const capture = await lab.capture(1);
    const routerAlert = Buffer.from('94040000', 'hex');
    await lab
      .sender()
      .frames(
        makeFrame({ checksum: 0xbad }),
        makeFrame({ checksum: 0 }),
        makeFrame({ options: routerAlert }),
        makeFrame({ payload: Buffer.alloc(0) }),
      );
    const frames = (await capture.rest()).map(readFrame);
    for (const destination of ['239.10.10.10', '10.2.1.2']) {
      const copies = frames.filter((frame) => frame.destination === destination);
      expect(copies.map(({ udpChecksum }) => udpChecksum)).toEqual(['wrong', 'none', 'right', 'right']);
      expect(copies.map(({ options }) => options)).toEqual(['', '', '94040000', '']);
      expect(copies.every(({ ipChecksumRight }) => ipChecksumRight)).toBe(true);
      expect(copies.map(({ source }) => source)).toEqual(Array(4).fill('10.99.99.99'));
    }
  });

  it('of a super-frame leave as one where the output can cut it, and cut where not', async () => {
    const forwarder = await relaying(
      { key: 'group', interface: 'out1', address: '239.10.10.10' },
      { key: 'unicast', interface: 'out2', address: '10.2.2.2' },
    );
    const size = 1316;
    const bytes = size * 19 + 500;
    const wire = bytes + 20 * 28;
    for (const offloads of [true, false]) {
      await lab.offloads('out1', offloads);
      const captures = [await lab.capture(1), await lab.capture(2)];
      await lab.sender().udp({ ...group, segment: size, sizes: [bytes] });
      const [groups = [], unicast = []] = await Promise.all(captures.map((capture) => capture.rest()));
      expect(groups).toHaveLength(offloads ? 1 : 20);
      if (!offloads) {
        for (const frame of [...groups, ...unicast].map(readFrame)) {
          expect(frame).toMatchObject({ ipChecksumRight: true, udpChecksum: 'right' });
        }
      }
      for (const frames of [groups, unicast]) {
        expect(Buffer.concat(frames.map((frame) => readFrame(frame).payload))).toEqual(sentPayload(bytes));
      }
      expect(unicast).toHaveLength(20);
    }
    expect(await forwarder.relay('simple')).toMatchObject({
      rxPackets: 40,
      rxBytes: wire * 2,
      outputs: [
        { txPackets: 40, txBytes: wire * 2, drops: [] },
        { txPackets: 40, txBytes: wire * 2, drops: [] },
      ],
    });
  });

  it('that come in fragments leave in fragments', async () => {
    const forwarder = await relaying(
      { interface: 'out1', address: '239.10.10.10', port: 6001 },
      { interface: 'out2', address: '10.2.2.2', port: 6001 },
    );
    const captures = [await lab.capture(1), await lab.capture(2)];
    await lab.sender().udp({ ...group, sizes: [5000, 60_000] });
    for (const capture of captures) {
      const frames = await capture.rest();
      const byId = Map.groupBy(frames, (frame) => readFrame(frame).id);
      const datagrams = [...byId.values()].map((parts) => {
        expect(parts.every((part) => readFrame(part).ipChecksumRight && readFrame(part).length <= 1500)).toBe(true);
        const payload = Buffer.concat(parts.map((part) => part.subarray(34, 14 + readFrame(part).length)));
        const whole = Buffer.concat([(parts[0] ?? Buffer.alloc(0)).subarray(0, 34), payload]);
        whole.writeUInt16BE(whole.length - 14, 16);
        whole.writeUInt16BE(0, 20);
        return readFrame(whole);
      });
      expect(datagrams).toMatchObject([
        { port: 6001, udpChecksum: 'right', payload: sentPayload(5000) },
        { port: 6001, udpChecksum: 'right', payload: sentPayload(60_000) },
      ]);
    }
    expect(await forwarder.relay('simple')).toMatchObject({
      rxPackets: 2,
      rxBytes: 65_056,
      outputs: [{ txPackets: 2, txBytes: 65_056, drops: [] }, { txPackets: 2 }],
    });
  });

  it('longer than the output takes are fragmented, or dropped and counted where that is forbidden', async () => {
    await lab.ip('relay', 'link set out1 mtu 600');
    const forwarder = await relaying(
      { interface: 'out1', address: '239.10.10.10' },
      { interface: 'out1', address: '10.2.1.2' },
      { interface: 'out1', address: '239.10.10.11', dropOversize: true },
    );
    const capture = await lab.capture(1);
    const payload = sentPayload(1300);
    await lab.sender().frames(makeFrame({ payload }), makeFrame({ payload, fragment: 0x4000 }), makeFrame());
    const frames = (await capture.rest()).map(readFrame);
    await lab.ip('relay', 'link set out1 mtu 1500');
    for (const destination of ['239.10.10.10', '10.2.1.2']) {
      const parts = frames.filter((frame) => frame.destination === destination);
      expect(parts.map(({ length, fragment }) => [length, fragment])).toEqual([
        [596, 0x2000],
        [596, 0x2000 + 72],
        [176, 144],
        [35, 0],
      ]);
    }
    const whole = frames.filter((frame) => frame.destination === '239.10.10.11');
    expect(whole.map(({ length }) => length)).toEqual([35]);
    expect((await forwarder.relay('simple')).outputs).toMatchObject([
      { txPackets: 2, txBytes: 1363, drops: [{ reason: 'mtu', packets: 1 }] },
      { txPackets: 2, txBytes: 1363, drops: [{ reason: 'mtu', packets: 1 }] },
      { txPackets: 1, txBytes: 35, drops: [{ reason: 'mtu', packets: 2 }] },
    ]);
  });

  it('that are malformed are counted by name and disturb nothing', async () => {
    const forwarder = await relaying();
    const capture = await lab.capture(1);
    const broken = (change: (frame: Buffer) => void, fix = true): Buffer => {
      const frame = makeFrame({ payload: Buffer.alloc(30) });
      change(frame);
      return fix ? fixIpChecksum(frame) : frame;
    };
    const good = makeFrame();
    await lab.sender().frames(
      good,
      broken((frame) => frame.writeUInt8(0x65, 14), false),
      broken((frame) => frame.writeUInt8(0x43, 14), false),
      broken((frame) => frame.writeUInt16BE(2000, 16)),
      broken((frame) => frame.writeUInt8(99, 22), false),
      broken((frame) => frame.writeUInt16BE(7, 38)),
      broken((frame) => frame.writeUInt16BE(1000, 38)),
      broken((frame) => frame.writeUInt16BE(24, 16)),
      good.subarray(0, 36),
      good,
    );
    const frames = (await capture.rest()).map(readFrame);
    expect(frames.map(({ payload }) => payload.toString())).toEqual(['mcfleet', 'mcfleet']);
    const [input] = (await forwarder.snapshot()).inputs;
    const drops = Object.fromEntries((input?.drops ?? []).map(({ reason, packets }) => [reason, packets]));
    expect(drops).toEqual({
      malformed_ip_version: 1,
      malformed_ip_header_length: 1,
      malformed_ip_length: 2,
      malformed_ip_checksum: 1,
      malformed_udp_length: 3,
    });
    expect(input).toMatchObject({ rxPackets: 10, unmatched: 0 });
  });

  it('of the VLAN that a relay names come through, and no others', async () => {
    const forwarder = await lab.forwarder();
    const to = (address: string) => [{ interface: 'out1', address }];
    await forwarder.apply([
      { ...simpleRelay, uid: 'tagged', vlan: 5, outputs: to('239.9.0.5') },
      { ...simpleRelay, uid: 'other tag', vlan: 4094, outputs: to('239.9.0.9') },
      { ...simpleRelay, uid: 'untagged', outputs: to('239.9.0.1') },
    ]);
    const capture = await lab.capture(1);
    const payload = (text: string) => ({ payload: Buffer.from(text) });
    const service = makeFrame({ tag: 5, ...payload('service tag') });
    service.writeUInt16BE(0x88a8, 12);
    const long = makeFrame({ tag: 5, payload: sentPayload(2000) });
    const part = (from: number, to: number, field: number): Buffer => {
      const frame = Buffer.concat([long.subarray(0, 38), long.subarray(38 + from, 38 + to)]);
      frame.writeUInt16BE(20 + to - from, 20);
      frame.writeUInt16BE(field, 24);
      return fixIpChecksum(frame, 18);
    };
    await lab
      .sender()
      .frames(
        makeFrame({ tag: 5, ...payload('tag 5') }),
        makeFrame({ tag: 0x6005, ...payload('tag 5 with priority') }),
        makeFrame({ tag: 4094, ...payload('tag 4094') }),
        makeFrame({ tag: 6, ...payload('tag 6') }),
        makeFrame({ tag: 0x6000, ...payload('priority') }),
        makeFrame(payload('untagged')),
        service,
        part(0, 1000, 0x2000),
        part(1000, 2008, 125),
      );
    const frames = (await capture.rest()).map(readFrame);
    // Flows may overtake each other.
    const byDestination = Map.groupBy(frames, ({ destination }) => destination);
    const texts = (address: string) => byDestination.get(address)?.map((frame) => frame.payload.toString());
    expect(texts('239.9.0.5')?.slice(0, 2)).toEqual(['tag 5', 'tag 5 with priority']);
    expect(texts('239.9.0.9')).toEqual(['tag 4094']);
    expect(texts('239.9.0.1')).toEqual(['priority', 'untagged']);
    // What came in fragments leaves in fragments.
    expect(
      byDestination
        .get('239.9.0.5')
        ?.slice(2)
        .map(({ length }) => length),
    ).toEqual([1500, 548]);
    const [input] = (await forwarder.snapshot()).inputs;
    expect(input?.drops).toEqual([{ reason: 'vlan', packets: 1 }]);
  });

  it('of another VLAN, another group or another protocol do not come through', async () => {
    const forwarder = await relaying();
    const capture = await lab.capture(1);
    const ipv6 = makeFrame();
    ipv6.writeUInt16BE(0x86dd, 12);
    await lab
      .sender()
      .frames(
        makeFrame({ tag: 5 }),
        makeFrame({ destination: '239.1.1.2' }),
        makeFrame({ port: 5002 }),
        ipv6,
        makeFrame({ tag: 0xe000, payload: Buffer.from('priority-tagged') }),
        makeFrame({ payload: Buffer.from('untagged') }),
      );
    const frames = (await capture.rest()).map(readFrame);
    expect(frames.map(({ payload }) => payload.toString())).toEqual(['priority-tagged', 'untagged']);
    // The kernel's filter kept the others out.
    expect((await forwarder.snapshot()).inputs).toMatchObject([{ rxPackets: 2, unmatched: 0, drops: [] }]);
  });
});
