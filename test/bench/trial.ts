import { setTimeout as sleep } from 'node:timers/promises';
import { datagramsIn, framesBetween } from '../lab/datagram-count.ts';
import type { RelayPlan } from './engine.ts';
import type { ForeignLoad } from './foreign-load.ts';
import { processTime } from './processor-time.ts';
import { SOURCE_INTERFACE, type Stage } from './stage.ts';

/** Traffic of one trial. */
export interface TrialTraffic {
  readonly plan: RelayPlan;
  readonly size: number;
  /** Packets per send. */
  readonly segments: number;
  /** Packets per second over all streams. */
  readonly rate: number;
  readonly seconds: number;
}

/** What one trial showed. */
export interface Trial {
  /** Packets per second that were really sent. */
  readonly rate: number;
  readonly sent: number;
  /** Copies that should have arrived at the sink, and that did. */
  readonly expected: number;
  readonly arrived: number;
  /** All copies arrived, none twice, and not long after the last was sent: a queue that only grows is not a success. */
  readonly lossless: boolean;
  /** Seconds of all cores, of the relay's processes and of the sender. */
  readonly relaySeconds: number;
  readonly senderSeconds: number;
  /** Cores that programs used which are not ours. */
  readonly foreignCores: number;
}

/** What a relay may still hold when the sender ends: a tenth of the trial, at least this. */
const LEAST_GRACE_MS = 30;
const POLL_MS = 5;
/** Nothing for so long: no more will come. */
const QUIET_MS = 40;
const DRAIN_LIMIT_MS = 3_000;

/** Sends packets through a relay and counts at the sink's interfaces. */
export async function runTrial(
  stage: Stage,
  relayPids: readonly number[],
  load: ForeignLoad,
  traffic: TrialTraffic,
): Promise<Trial> {
  const { streams, family } = traffic.plan;
  const copies = streams[0]?.outputs.length ?? 0;
  const senderPids = [stage.source.process.pid];
  const count = async () => await stage.sink.ask({ do: 'count', interfaces: stage.sinkInterfaces });
  const arrivedSince = async (before: Awaited<ReturnType<typeof count>>): Promise<number> =>
    datagramsIn(framesBetween(before, await count()), traffic.size, family);

  const before = await count();
  const relayBefore = processTime(relayPids);
  const senderBefore = processTime(senderPids);
  load.restart();
  const { sent, seconds } = await stage.source.ask({
    do: 'send',
    interface: SOURCE_INTERFACE,
    streams: streams.map(({ input }) => input),
    rate: traffic.rate,
    count: Math.max(streams.length, Math.round(traffic.rate * traffic.seconds)),
    size: traffic.size,
    segments: traffic.segments,
    fillOnce: true,
  });
  const end = performance.now();
  const foreignCores = load.cores();
  const senderSeconds = processTime(senderPids) - senderBefore;
  const expected = sent * copies;
  const grace = Math.max(LEAST_GRACE_MS, seconds * 100);
  let arrived = await arrivedSince(before);
  while (arrived < expected && performance.now() - end < grace) {
    await sleep(POLL_MS);
    arrived = await arrivedSince(before);
  }
  const inTime = arrived;
  arrived = await drain(() => arrivedSince(before), arrived);
  return {
    rate: sent / seconds,
    sent,
    expected,
    arrived,
    lossless: inTime === expected && arrived === expected,
    relaySeconds: processTime(relayPids) - relayBefore,
    senderSeconds,
    foreignCores,
  };
}

/** Waits until nothing of this trial can disturb the next. */
async function drain(arrived: () => Promise<number>, first: number): Promise<number> {
  const end = performance.now() + DRAIN_LIMIT_MS;
  let last = first;
  let since = performance.now();
  while (performance.now() - since < QUIET_MS && performance.now() < end) {
    await sleep(POLL_MS);
    const now = await arrived();
    if (now !== last) since = performance.now();
    last = now;
  }
  return last;
}
