import { setTimeout as sleep } from 'node:timers/promises';
import { datagramsIn, framesBetween } from '../lab/datagram-count.ts';
import type { ForeignLoad } from './foreign-load.ts';
import { processTime } from './processor-time.ts';
import { untilQuiet } from './quiet.ts';
import { SOURCE_INTERFACE, type Stage } from './stage.ts';
import type { Traffic } from './traffic.ts';

/** Traffic of one trial. */
export interface TrialTraffic extends Traffic {
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
  /**
   * At each of the sink's interfaces as many datagrams arrived as there should be copies, and not long after the last was sent: a queue that
   * only grows is not a success. Which copies they are this does not tell; receivers do (content-check.ts, output-check.ts).
   */
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
  const before = await count();
  const arrivedAtEach = async (): Promise<number[]> =>
    (await count()).map((frames, index) =>
      datagramsIn(framesBetween(before[index] ?? frames, frames), traffic.size, family),
    );
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
  const share = expected / stage.sinkInterfaces.length;
  const complete = (each: readonly number[]): boolean => each.every((datagrams) => datagrams === share);
  const grace = Math.max(LEAST_GRACE_MS, seconds * 100);
  let arrived = await arrivedAtEach();
  while (!complete(arrived) && performance.now() - end < grace) {
    await sleep(POLL_MS);
    arrived = await arrivedAtEach();
  }
  const inTime = complete(arrived);
  await untilQuiet(async () => sum(await arrivedAtEach()));
  arrived = await arrivedAtEach();
  return {
    rate: sent / seconds,
    sent,
    expected,
    arrived: sum(arrived),
    lossless: inTime && complete(arrived),
    relaySeconds: processTime(relayPids) - relayBefore,
    senderSeconds,
    foreignCores,
  };
}

const sum = (each: readonly number[]): number => each.reduce((total, one) => total + one, 0);
