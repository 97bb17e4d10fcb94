// Packets to unicast addresses, which the kernel routes, resolves and refuses itself.
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithLab } from '../../test/lab/when-possible.ts';
import { type ForwarderProcess, LineProcess, PacketCapture, type RelayReport } from './forwarder-process.ts';
import { ForwarderTopology, simpleRelay } from './forwarder-topology.ts';
import { makeFrame, readFrame } from './ipv4-frame.ts';

/** Says the size of the first datagram that comes to port 5001. */
const listener = `
import socket
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("0.0.0.0", 5001))
listener.settimeout(30)
print("ready", flush=True)
print(len(listener.recv(2000)), flush=True)
`;

/** Listens on port 5001 until its input ends. */
const stayingListener = `
import socket
import sys
listener = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
listener.bind(("10.1.0.2", 5001))
print("ready", flush=True)
sys.stdin.read()
`;

describeWithLab('packets to unicast addresses', () => {
  let lab: ForwarderTopology;
  let forwarder: ForwarderProcess;
  beforeEach(async () => {
    lab = await ForwarderTopology.create();
    forwarder = await lab.forwarder();
    await lab.resolve('10.2.1.2');
  });
  afterEach(() => lab?.delete());

  const receiver = { key: 'receiver', interface: 'out1', address: '10.2.1.2', source: '10.2.1.1' };
  const counts = async (): Promise<RelayReport['outputs']> => (await forwarder.relay('simple')).outputs;
  const warning = async (): Promise<string> => (await forwarder.relay('simple')).warning;
  const unicast = { ...simpleRelay, group: '10.1.0.2' };
  /** Packets of IP protocol 1 (ICMP) that come back when some are sent to the relay's own address. */
  const refusals = async (): Promise<number> => {
    const capture = await PacketCapture.start(lab.namespace('source'), 'src');
    await lab.sender().udp({ group: '10.1.0.2', port: 5001, sizes: [100, 100] });
    return (await capture.rest()).filter((frame) => frame[23] === 1).length;
  };

  it('of receivers are counted as dropped when the queue of the device is full', async () => {
    await lab.read('relay', ...'tc qdisc add dev out1 root tbf rate 4mbit burst 3000 limit 6000'.split(' '));
    expect(await forwarder.apply([{ ...simpleRelay, outputs: [receiver] }])).toEqual([]);
    const capture = await lab.capture(1);
    await lab.sender().frames(...Array.from({ length: 200 }, () => makeFrame({ payload: Buffer.alloc(1000) })));
    const arrived = (await capture.rest()).map(readFrame).filter(({ port }) => port === 5001).length;
    expect(arrived).toBeLessThan(100);
    expect(await counts()).toMatchObject([
      { txPackets: arrived, drops: [{ reason: 'tx_full', packets: 200 - arrived }] },
    ]);
  });

  it('of receivers are not held up by neighbours that do not answer', async () => {
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
    const arrived = (await capture.rest()).map(readFrame).filter(({ port }) => port === 5001).length;
    expect(arrived).toBe(400);
    expect((await counts()).at(-1)).toMatchObject({ key: 'receiver', txPackets: 400, drops: [] });
  });

  it('of receivers are dropped by name where they would have no source, rather than sent with a wrong checksum', async () => {
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

  it('that the relay takes are not refused by its host', async () => {
    expect(await refusals()).toBeGreaterThan(0);
    expect(await forwarder.apply([unicast, { ...unicast, uid: 'another' }])).toEqual([]);
    expect(await forwarder.apply([], { removed: ['another'] })).toEqual([]);
    expect(await refusals()).toBe(0);
    expect(await forwarder.relay('simple')).toMatchObject({ rxPackets: 2, outputs: [{ txPackets: 2 }], warning: '' });
    // The port is given back.
    expect(await forwarder.apply([], { removed: ['simple'] })).toEqual([]);
    expect(await refusals()).toBeGreaterThan(0);
  });

  it('that a relay takes on any port are refused by its host as well, which is told', async () => {
    expect(await forwarder.apply([{ ...unicast, port: null }])).toEqual([]);
    expect(await warning()).toBe('PortUnreachable');
    expect(await refusals()).toBeGreaterThan(0);
    expect(await forwarder.relay('simple')).toMatchObject({ rxPackets: 2, outputs: [{ txPackets: 2 }] });
  });

  it('are refused by nobody when the program that had their port is gone', async () => {
    const program = new LineProcess(lab.namespace('relay'), 'python3', '-c', stayingListener);
    expect(await program.line()).toBe('ready');
    expect(await forwarder.apply([unicast])).toEqual([]);
    expect(await warning()).toBe('PortInUse');
    expect(await refusals()).toBe(0);
    await program.end();
    await expect.poll(warning, { timeout: 20_000, interval: 100 }).toBe('');
    expect(await refusals()).toBe(0);
    expect(await forwarder.relay('simple')).toMatchObject({ rxPackets: 4, outputs: [{ txPackets: 4 }] });
  });

  it('that the relay takes are not taken from a program that listens there', async () => {
    const program = new LineProcess(lab.namespace('relay'), 'python3', '-c', listener);
    expect(await program.line()).toBe('ready');
    expect(await forwarder.apply([unicast])).toEqual([]);
    await lab.sender().udp({ group: '10.1.0.2', port: 5001, sizes: [77] });
    expect(await program.line()).toBe('77');
    await program.end();
    expect(await forwarder.relay('simple')).toMatchObject({ rxPackets: 1, outputs: [{ txPackets: 1 }] });
  });
});
