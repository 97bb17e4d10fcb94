// What the kernel does with packets to unicast addresses, which it routes and resolves itself.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithLab } from '../../test/lab/when-possible.ts';
import type { ForwarderProcess, RelayReport } from './forwarder-process.ts';
import { ForwarderTopology, simpleRelay } from './forwarder-topology.ts';
import { makeFrame, readFrame } from './ipv4-frame.ts';

describeWithLab('packets to unicast receivers', () => {
  let lab: ForwarderTopology;
  let forwarder: ForwarderProcess;
  beforeEach(async () => {
    lab = await ForwarderTopology.create();
    forwarder = await lab.forwarder();
    const { address } = await lab.device('sink1', 'sink1');
    await lab.ip('relay', `neighbour replace 10.2.1.2 lladdr ${address} dev out1`);
  });
  afterEach(() => lab?.delete());

  const receiver = { key: 'receiver', interface: 'out1', address: '10.2.1.2', source: '10.2.1.1' };
  const counts = async (): Promise<RelayReport['outputs']> => (await forwarder.relay('simple')).outputs;

  it('are counted as dropped when the queue of the device is full', async () => {
    expect(await forwarder.apply([{ ...simpleRelay, outputs: [receiver] }])).toEqual([]);
    await lab.read('relay', ...'tc qdisc add dev out1 root tbf rate 4mbit burst 3000 limit 6000'.split(' '));
    const capture = await lab.capture(1);
    await lab.sender().frames(...Array.from({ length: 200 }, () => makeFrame({ payload: Buffer.alloc(1000) })));
    const arrived = (await capture.rest()).map(readFrame).filter(({ port }) => port === 5001).length;
    expect(arrived).toBeLessThan(100);
    expect(await counts()).toMatchObject([
      { txPackets: arrived, drops: [{ reason: 'tx_full', packets: 200 - arrived }] },
    ]);
  });

  it('are not held up by neighbours that do not answer', async () => {
    const dead = Array.from({ length: 200 }, (_, i) => ({
      ...receiver,
      key: `dead-${i}`,
      address: `10.2.1.${i + 20}`,
    }));
    expect(await forwarder.apply([{ ...simpleRelay, outputs: [...dead, receiver] }])).toEqual([]);
    const capture = await lab.capture(1);
    const sender = lab.sender();
    const payload = Buffer.alloc(1300);
    for (let burst = 0; burst < 20; burst++) {
      await sender.frames(
        ...Array.from({ length: 20 }, (_, i) => makeFrame({ payload, port: 5001, sourcePort: i + 1 })),
      );
    }
    const arrived = (await capture.rest(1000)).map(readFrame).filter(({ port }) => port === 5001).length;
    expect(arrived).toBe(400);
    expect((await counts()).at(-1)).toMatchObject({ key: 'receiver', txPackets: 400, drops: [] });
  }, 30_000);

  it('are dropped by name where they would have no source, rather than sent with a wrong checksum', async () => {
    const keep = { key: 'keep', interface: 'out1', address: '10.2.1.2' };
    expect(await forwarder.apply([{ ...simpleRelay, outputs: [keep, receiver] }])).toEqual([]);
    const capture = await lab.capture(1);
    await lab.sender().frames(makeFrame({ source: '0.0.0.0' }), makeFrame());
    const frames = (await capture.rest()).map(readFrame).filter(({ port }) => port === 5001);
    expect(frames.map(({ source, udpChecksum }) => `${source} ${udpChecksum}`).toSorted()).toEqual([
      '10.2.1.1 right',
      '10.2.1.1 right',
      '10.99.99.99 right',
    ]);
    expect(await counts()).toMatchObject([
      { txPackets: 1, drops: [{ reason: 'no_source', packets: 1 }] },
      { txPackets: 2, drops: [] },
    ]);
  });
});
