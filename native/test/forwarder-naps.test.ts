// When a packet thread naps, and when it sleeps.
import { setTimeout } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { describeWithLab, labObstacle } from '../../test/lab/when-possible.ts';
import type { ForwarderProcess } from './forwarder-process.ts';
import { LineProcess } from './forwarder-process.ts';
import { eventually, ForwarderTopology, simpleRelay } from './forwarder-topology.ts';
import { makeFrame, readFrame } from './ipv4-frame.ts';
import { packetThreadsOf, stateOfPacketThread, type Thread, waitsOf } from './packet-threads.ts';

describeWithLab('a packet thread', () => {
  let lab: ForwarderTopology;
  beforeAll(async () => {
    if (labObstacle() === undefined) lab = await ForwarderTopology.create();
  });
  afterEach(() => lab?.endProcesses());
  afterAll(() => lab?.delete());

  async function start(): Promise<{ forwarder: ForwarderProcess; pid: number; thread: Thread }> {
    const forwarder = await lab.forwarder();
    expect(await forwarder.apply([simpleRelay])).toEqual([]);
    const pid = forwarder.child.pid ?? 0;
    const [thread] = packetThreadsOf(pid);
    if (thread === undefined) throw new Error('the forwarder has no packet thread');
    return { forwarder, pid, thread };
  }

  it('naps while packets come densely, and sleeps when they end', async () => {
    // Cut before they arrive: what counts is how many frames come.
    await lab.segmentation('source', 'src', false);
    const { forwarder, pid, thread } = await start();
    const count = 100_000;
    const options = { group: simpleRelay.group, port: 5001, count, size: 64, rate: 1_000_000, segments: 20 };
    let napped = false;
    let sent = 0;
    // Where others have the processors, whoever looks may miss all naps of one stream.
    for (; !napped && sent < 20 * count; sent += count) {
      const sender = new LineProcess(
        lab.namespace('source'),
        ...[process.execPath, `${import.meta.dirname}/run-probe.ts`, 'send', 'src', JSON.stringify(options)],
      );
      await sender.line();
      let sending = true;
      const ended = sender.line().finally(() => {
        sending = false;
      });
      while (sending) {
        for (let look = 0; look < 100 && !napped; look++) napped = stateOfPacketThread(pid, thread) === 'naps';
        await setTimeout(1);
      }
      await ended;
      await sender.end();
    }
    expect(napped).toBe(true);
    // Nothing stays behind: what came last is forwarded, without any packet that would wake the thread.
    await eventually(async () => {
      const relay = await forwarder.relay('simple');
      const { inputs } = await forwarder.snapshot();
      expect(relay.rxPackets + (inputs[0]?.kernelDrops ?? 0)).toBe(sent);
      expect(forwarder.isIdle).toBe(true);
    });
  });

  it('forwards each burst to its last packet', async () => {
    const { forwarder } = await start();
    const capture = await lab.capture(1);
    const sender = lab.sender();
    // As many as make it nap, one more, and more than it takes at once.
    const bursts = [8, 9, 16, 300, 7, 1];
    for (const [number, length] of bursts.entries()) {
      // All at once, so that they lie in its ring when it goes on.
      await forwarder.whilePaused(() =>
        sender.frames(
          ...Array.from({ length }, (_, i) =>
            makeFrame({ id: 1000 * (number + 1) + i, payload: Buffer.from(`${number} ${i}`) }),
          ),
        ),
      );
      await eventually(async () => {
        expect((await forwarder.relay('simple')).rxPackets).toBe(bursts.slice(0, number + 1).reduce((a, b) => a + b));
      });
    }
    const texts = (await capture.rest()).map((frame) => readFrame(frame).payload.toString());
    expect(texts).toEqual(bursts.flatMap((length, number) => Array.from({ length }, (_, i) => `${number} ${i}`)));
  });

  it('does not wake while no packet comes', async () => {
    const { forwarder, pid, thread } = await start();
    // Also after it had reason to nap.
    await forwarder.whilePaused(() =>
      lab
        .sender()
        .frames(...Array.from({ length: 50 }, (_, i) => makeFrame({ id: 1000 + i, payload: Buffer.from(`${i}`) }))),
    );
    await eventually(async () => {
      expect((await forwarder.relay('simple')).rxPackets).toBe(50);
      expect(forwarder.isIdle).toBe(true);
    });
    // News of an interface wake it once; a thread that looks now and then does so in every two seconds.
    const waits: number[] = [];
    do {
      const before = waitsOf(pid, thread);
      await setTimeout(2_000);
      waits.push(waitsOf(pid, thread) - before);
    } while (waits.at(-1) !== 0 && waits.length < 4);
    expect(waits.at(-1), `waits in each two seconds: ${waits.join(', ')}`).toBe(0);
    expect(stateOfPacketThread(pid, thread)).toBe('sleeps');
  });
});
