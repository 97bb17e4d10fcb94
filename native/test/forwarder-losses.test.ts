// What interfaces take and then lose: no send is told of it, and each packet is told once all the same.
import { existsSync } from 'node:fs';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWithLab } from '../../test/lab/when-possible.ts';
import { type ForwarderProcess, type LossReport, PacketCapture } from './forwarder-process.ts';
import { eventually, ForwarderTopology, simpleRelay } from './forwarder-topology.ts';
import { makeFrame, readFrame } from './ipv4-frame.ts';

const count = 2000;

describeWithLab('forwarder and what interfaces lose', () => {
  let lab: ForwarderTopology;
  let forwarder: ForwarderProcess;
  beforeEach(async () => {
    lab = await ForwarderTopology.create();
    // Packet by packet: of a super-frame the kernel counts one that its queue drops.
    forwarder = await lab.forwarder({ transmit: 'sendmmsg' });
  });
  afterEach(() => lab?.delete());

  let sent = 0;
  const frames = (): Buffer[] => Array.from({ length: count }, () => makeFrame({ payload: Buffer.from(`${sent++}`) }));
  const toOut1 = { ...simpleRelay, outputs: [{ key: 'one', interface: 'out1', address: '239.10.10.10' }] };

  async function lossOf(device: string): Promise<LossReport> {
    const { ifindex } = await lab.device('relay', device);
    const found = (await forwarder.losses()).find((loss) => loss.ifindex === ifindex);
    if (found === undefined) throw new Error(`nothing is told of ${device}`);
    return found;
  }

  /** Packets of an output that were sent, and that it dropped. */
  async function output(index: number): Promise<{ sent: number; dropped: number }> {
    const found = (await forwarder.relay('simple')).outputs[index];
    if (found === undefined) throw new Error(`no output ${index}`);
    return { sent: found.txPackets, dropped: found.drops.reduce((sum, { packets }) => sum + packets, 0) };
  }

  it('tells what a tun that nobody reads throws away', async (context) => {
    if (!existsSync('/dev/net/tun')) context.skip('there is no /dev/net/tun');
    const tun = await PacketCapture.start(lab.namespace('relay'), 'tun0', 'silent-tun');
    await lab.ip('relay', 'link set tun0 up');
    const outputs = [...toOut1.outputs, { key: 'tun', interface: 'tun0', address: '239.7.7.7' }];
    expect(await forwarder.apply([{ ...toOut1, outputs }])).toEqual([]);
    await eventually(async () => expect((await forwarder.relay('simple')).outputs).toMatchObject([{}, { up: true }]));
    expect(await lossOf('tun0')).toMatchObject({ queue: 0, deviceDropped: 0, deviceErrors: 0 });
    await lab.sender().frames(...frames());
    await eventually(async () => expect(await output(1)).toEqual({ sent: count, dropped: 0 }));
    // Its own queue holds 500 (TUN_READQ_SIZE), of which IGMP reports may take some.
    await eventually(async () => expect((await lossOf('tun0')).deviceDropped).toBeGreaterThanOrEqual(count - 500));
    expect((await lossOf('tun0')).deviceDropped).toBeLessThanOrEqual(count - 500 + 20);
    expect(await lossOf('out1')).toMatchObject({ queue: 0, deviceDropped: 0, deviceErrors: 0 });
    await tun.end();
  });

  it('tells what a queue drops later than a send can be told, and goes on when it is replaced', async () => {
    expect(await forwarder.apply([toOut1])).toEqual([]);
    const { startUnixNano } = await lossOf('out1');
    let told = 0;
    for (const round of [1, 2]) {
      const before = await lab.received(1);
      await lab.read('relay', ...headDropping(round));
      await lab.read('relay', ...`tc qdisc add dev out1 parent ${round}:1 pfifo_head_drop limit 5`.split(' '));
      await lab.sender().frames(...frames());
      await eventually(async () => expect((await output(0)).sent).toBe(round * count));
      await eventually(async () => {
        const { queue } = await lossOf('out1');
        expect((await lab.received(1)) - before + queue - told).toBe(count);
      });
      const loss = await lossOf('out1');
      expect(loss).toMatchObject({ deviceDropped: 0, deviceErrors: 0, startUnixNano });
      expect(loss.queue - told).toBeGreaterThan(count / 2);
      told = loss.queue;
    }
    expect((await output(0)).dropped).toBe(0);
  });

  it('tells once what a queue refuses: as a drop of the output', async () => {
    expect(await forwarder.apply([toOut1])).toEqual([]);
    await lab.read('relay', ...'tc qdisc add dev out1 root tbf rate 1mbit burst 3000 limit 6000'.split(' '));
    const before = await lab.received(1);
    await lab.sender().frames(...frames());
    await eventually(async () => {
      const { sent: taken, dropped } = await output(0);
      expect(taken + dropped).toBe(count);
      expect(taken).toBe((await lab.received(1)) - before);
    });
    expect((await output(0)).dropped).toBeGreaterThan(count / 2);
    // Two readings: what the first one might have put off is in the second.
    for (const _ of [1, 2]) expect(await lossOf('out1')).toMatchObject({ queue: 0, deviceDropped: 0, deviceErrors: 0 });
  });

  it('tells once what a queue throws away of packets to a receiver, of which is known later what became of them', async () => {
    const outputs = [{ key: 'one', interface: 'out1', address: '10.2.1.2' }];
    await lab.read('relay', ...'tc qdisc add dev out1 root handle 1: tbf rate 2mbit burst 3000 limit 60000'.split(' '));
    await lab.read('relay', ...'tc qdisc add dev out1 parent 1:1 pfifo_head_drop limit 5'.split(' '));
    expect(await forwarder.apply([{ ...toOut1, outputs }])).toEqual([]);
    const capture = await lab.capture(1);
    const sender = lab.sender();
    const all = frames();
    for (let i = 0; i < count; i += 100) {
      await sender.frames(...all.slice(i, i + 100));
      // While it is not known yet whose they were.
      await lossOf('out1');
    }
    await eventually(async () => {
      const { sent: taken, dropped } = await output(0);
      expect(taken + dropped).toBe(count);
    });
    const { sent: taken, dropped } = await output(0);
    expect(dropped).toBeGreaterThan(100);
    const came = (await capture.rest()).filter((frame) => readFrame(frame).destination === '10.2.1.2');
    expect(came).toHaveLength(taken);
    // What the kernel sends to find the receiver may be among the others.
    await eventually(async () => {
      const told = await lab.read('relay', 'tc', '-s', 'qdisc', 'show', 'dev', 'out1');
      expect((await lossOf('out1')).queue).toBe(Number(/dropped (\d+)/.exec(told)?.[1]) - dropped);
    });
    expect((await lossOf('out1')).queue).toBeLessThan(50);
  });

  it('goes on with the sum when an interface is made again', async () => {
    const lose = async (): Promise<number> => {
      await lab.read('relay', ...headDropping(1));
      await lab.read('relay', ...'tc qdisc add dev out1 parent 1:1 pfifo_head_drop limit 5'.split(' '));
      const [before, base] = [await lab.received(1), await output(0)];
      await lab.sender().frames(...frames());
      await eventually(async () => expect((await output(0)).sent).toBe(base.sent + count));
      // What waits in the queue comes.
      const queue = (): Promise<string> => lab.read('relay', 'tc', '-s', 'qdisc', 'show', 'dev', 'out1');
      await eventually(async () => expect(await queue()).not.toMatch(/backlog [^0]/));
      return count - ((await lab.received(1)) - before);
    };
    expect(await forwarder.apply([toOut1])).toEqual([]);
    const first = await lose();
    await eventually(async () => expect((await lossOf('out1')).queue).toBe(first));
    const { startUnixNano, ifindex } = await lossOf('out1');
    await lab.ip('relay', 'link delete out1');
    await eventually(async () => expect(await forwarder.losses()).toEqual([]));
    await lab.connectSink(1);
    expect(await forwarder.apply([toOut1])).toEqual([]);
    await eventually(async () => expect((await forwarder.relay('simple')).outputs).toMatchObject([{ up: true }]));
    expect(await lossOf('out1')).toMatchObject({ queue: first, startUnixNano });
    expect((await lossOf('out1')).ifindex).not.toBe(ifindex);
    const second = await lose();
    await eventually(async () => expect((await lossOf('out1')).queue).toBe(first + second));
    // Without relays nothing is told, and later the sum is there again.
    expect(await forwarder.apply([], { replaceAll: true })).toEqual([]);
    await eventually(async () => expect(await forwarder.losses()).toEqual([]));
    expect(await forwarder.apply([toOut1])).toEqual([]);
    expect(await lossOf('out1')).toMatchObject({ queue: first + second, startUnixNano });
  });
});

/** A queue that gives out 1 Mbit/s. With pfifo_head_drop in it, it throws away the oldest when it is full, and says that it took the newest. */
function headDropping(handle: number): string[] {
  return `tc qdisc replace dev out1 root handle ${handle}: tbf rate 1mbit burst 3000 limit 1000000`.split(' ');
}
