import { expect, it } from 'vitest';
import { readSnapshot } from '../fleet/dataplane-account.ts';
import { corpusFrames, malformedFrames, randomFrom, spoilings, udpFrame } from '../fleet/malformed.ts';
import { Receiver } from '../fleet/probe.ts';
import { sendFrames } from '../fleet/raw-frames.ts';
import { host, RelayPath } from '../fleet/relay-path.ts';
import { describeWithLab } from '../lab/when-possible.ts';
import { expectAll } from './all-arrived.ts';

const seed = 20_260_401;
const rate = 20_000;

/** Packets that the data plane dropped, by reason, over all inputs and relays. */
async function drops(path: RelayPath): Promise<Map<string, number>> {
  const { relays, inputs } = await readSnapshot(path.fleet.dataplaneSocket(host));
  const counted = new Map<string, number>();
  const all = [...inputs.flatMap((input) => input.drops), ...relays.flatMap((relay) => relay.counters?.drops ?? [])];
  for (const { reason, packets } of all) counted.set(reason, (counted.get(reason) ?? 0) + Number(packets));
  return counted;
}

describeWithLab('malformed packets', () => {
  it(`are dropped and counted, and disturb no packet of a stream (seed ${seed})`, async () => {
    await using path = await RelayPath.start('chain');
    const victim = path.spec({ input: { port: 5003 }, outputs: [{ address: '239.9.9.9', port: 5103 }] });
    await path.apply({ camera: path.spec(), victim });
    const dataplane = path.fleet.dataplanePid(host);
    const { namespace, interface: device } = path.course.sender;

    // That well-formed frames of the same make are relayed shows that the spoiled ones come near enough.
    const receiver = await path.lab.interfaceCounters('sink', 'veth2');
    await sendFrames(
      path.lab,
      namespace,
      device,
      Array.from({ length: 100 }, () => udpFrame(5003, 100)),
      1_000,
    );
    await expect
      .poll(async () => (await path.lab.interfaceCounters('sink', 'veth2')).rxPackets - receiver.rxPackets)
      .toBeGreaterThanOrEqual(100);

    const frames = malformedFrames(seed, 20_000, 5003);
    const carried = await path.carryDuring({ rate }, async () => {
      await sendFrames(path.lab, namespace, device, frames, 5_000);
    });
    expectAll(carried);
    expect(path.fleet.dataplanePid(host)).toBe(dataplane);
    const counted = await drops(path);
    // About a third of the frames reaches the ring and is no UDP packet; the kernel's filter keeps most others away.
    expect([...counted.values()].reduce((sum, packets) => sum + packets, 0)).toBeGreaterThan(frames.length / 4);
    expect([...counted.keys()]).toEqual(
      expect.arrayContaining([
        'malformed_ip_version',
        'malformed_ip_length',
        'malformed_ip_checksum',
        'malformed_udp_length',
      ]),
    );
  });

  it(`of the fuzz targets, IPv4 and IPv6 with fragments, disturb no packet of a stream either (seed ${seed})`, async () => {
    await using path = await RelayPath.start('chain');
    const victim = path.spec({ input: { port: 5003 }, outputs: [{ address: '239.9.9.9', port: 5103 }] });
    const victim6 = path.spec({
      input: { group: 'ff3e::8000:1', port: 5003 },
      outputs: [{ address: 'ff3e::8000:9', port: 5103, source: 'KEEP' }],
    });
    await path.apply({ camera: path.spec(), victim, victim6 });
    const dataplane = path.fleet.dataplanePid(host);
    const { namespace, interface: device } = path.course.sender;
    const frames = corpusFrames(seed, 200, 5003);
    const carried = await path.carryDuring({ rate }, async () => {
      await sendFrames(path.lab, namespace, device, frames, 5_000);
    });
    expectAll(carried);
    expect(path.fleet.dataplanePid(host)).toBe(dataplane);
    // They come as far as the relays that they are meant for, and what is wrong with them is told.
    const { relays } = await readSnapshot(path.fleet.dataplaneSocket(host));
    for (const { counters } of relays) expect(counters?.rxPackets).toBeGreaterThan(0n);
    expect(relays).toHaveLength(3);
    expect([...(await drops(path)).keys()]).toEqual(
      expect.arrayContaining(['malformed_ip_length', 'malformed_ip_checksum', 'malformed_udp_length']),
    );
  });

  it('with a wrong UDP checksum do not get a right one on their way', async () => {
    await using path = await RelayPath.start('chain');
    await path.apply({ camera: path.spec() });
    const { namespace, interface: device } = path.course.sender;
    const random = randomFrom(seed);
    const spoil = spoilings['UDP checksum wrong'];
    const frames = Array.from({ length: 500 }, () => spoil(udpFrame(5001, 100), random));
    const before = await path.lab.protocolCounter('sink', 'UdpInCsumErrors');
    const receiver = await Receiver.start(path.lab, 'sink', { interface: 'veth2', group: '239.9.9.9', port: 5099 });
    await sendFrames(path.lab, namespace, device, frames, 1_000);
    await expect
      .poll(async () => (await path.lab.protocolCounter('sink', 'UdpInCsumErrors')) - before)
      .toBe(frames.length);
    await receiver.stop();
  });
});
