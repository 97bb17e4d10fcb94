import { setTimeout as sleep } from 'node:timers/promises';
import { datagramsIn, framesBetween, sumOf } from '../lab/datagram-count.ts';
import { oneEnd } from './ends.ts';
import type { RunningRelay } from './engine.ts';
import type { CheckAttempt, Checked, CheckedAt } from './results.ts';
import { SOURCE_INTERFACE, type Stage } from './stage.ts';
import { threeDigits } from './statistics.ts';
import type { Traffic } from './traffic.ts';

/** What is sent, as in the search that found its rate. */
export interface CheckTraffic extends Traffic {
  /** Packets per second over all streams. */
  readonly rate: number;
}

/** Parts of the rate, tried in turns until nothing is missing; a loss at the first may be an accident. */
const PARTS = [1, 1, 0.6, 0.35, 0.2, 0.1];
const LEAST_RATE = 1_000;
/** A receiver that followed at this part of the rate followed it: a sender who writes each payload anew is a little slower. */
export const FOLLOWED = 0.9;
/** Of one stream: twice what a relay's ring holds. */
const MOST_PACKETS = 80_000;
const MOST_SECONDS = 1;
/** From the last packet's sending to the receiver's turn. */
const SETTLE_MS = 100;

/** What the receiver's socket may hold (native/src/probe/udp_source.cc; the kernel doubles it). */
const BUFFER_BYTES = 2 * 128 * 1024 * 1024;

/** How many packets of a size the receiver's socket holds: the kernel counts the memory that a packet lies in, not its size. */
function packetsInBuffer(size: number): number {
  return Math.floor(BUFFER_BYTES / (size > 2_000 ? 18_432 : 3_072));
}

/**
 * Lets a UDP receiver judge one of the outputs while the relay works as hard as it can without loss: order, loss, duplicates, every byte,
 * and the sum of the payloads' SHA-256, which must be the sender's. The receiver stands still while packets come, and reads them from its
 * socket afterwards: on two cores it would take the time of sender or relay. What remains is the kernel's delivery to the socket, on the
 * relay's core. Where that is too much at the rate that was found, lower ones are tried, and the rate itself with a receiver to which
 * super-frames are delivered whole.
 */
export async function checkContent(stage: Stage, relay: RunningRelay, traffic: CheckTraffic): Promise<Checked> {
  const { superFrames, ...plain } = await follow(stage, relay, traffic, false);
  const followed = plain.earlier.length === 0 || plain.rate >= traffic.rate * FOLLOWED;
  if (followed || !superFrames) return { ...plain, whole: null };
  const { superFrames: _, ...whole } = await follow(stage, relay, traffic, true);
  return { ...plain, whole };
}

/** What a receiver got, and whether super-frames came to its interface. */
type Followed = CheckedAt & { readonly superFrames: boolean };

async function follow(stage: Stage, relay: RunningRelay, traffic: CheckTraffic, whole: boolean): Promise<Followed> {
  const earlier: CheckAttempt[] = [];
  for (const part of PARTS) {
    const rate = Math.max(LEAST_RATE, traffic.rate * part);
    const found = await attempt(stage, relay, { ...traffic, rate }, whole);
    const { received, lost, duplicates, reordered, corrupt, receiverDrops, sent, missing_at_interface } = found;
    if (part === PARTS.at(-1) || lost <= 0 || duplicates + reordered + corrupt > 0) return { ...found, earlier };
    earlier.push({ rate: found.rate, sent, received, receiver_drops: receiverDrops, missing_at_interface });
  }
  throw new Error('there is at least one part');
}

async function attempt(
  stage: Stage,
  relay: RunningRelay,
  traffic: CheckTraffic,
  whole: boolean,
): Promise<Omit<Followed, 'earlier'>> {
  const { plan, size, rate } = traffic;
  const { streams, family } = plan;
  const copies = streams[0]?.outputs.length ?? 0;
  const perStream = Math.min(MOST_PACKETS, packetsInBuffer(size), (rate * MOST_SECONDS) / streams.length);
  const count = async () => sumOf(await stage.sink.ask({ do: 'count', interfaces: stage.sinkInterfaces }));
  const before = await count();
  await stage.sink.ask({ do: 'listen', end: oneEnd(relay), raw: false, digest: true, whole });
  stage.sink.pause();
  let answer: Awaited<ReturnType<typeof send>>;
  try {
    answer = await send(stage, traffic, Math.round(perStream) * streams.length);
    await sleep(SETTLE_MS);
  } finally {
    stage.sink.resume();
  }
  const { sent, seconds, first } = answer;
  const heard = await stage.sink.ask({ do: 'stop-listening', after: first.sent });
  const frames = framesBetween(before, await count());
  const arrived = datagramsIn(frames, size, family);
  return {
    ...heard,
    lost: first.sent - heard.received,
    sent: first.sent,
    rate: threeDigits(sent / seconds),
    same_sha256: first.payloadSha256 !== null && heard.payloadSha256 === first.payloadSha256,
    missing_at_interface: sent * copies - arrived,
    superFrames: arrived > frames.frames,
  };
}

async function send(stage: Stage, { plan, size, segments, rate }: CheckTraffic, count: number) {
  return await stage.source.ask({
    do: 'send',
    interface: SOURCE_INTERFACE,
    streams: plan.streams.map(({ input }) => input),
    rate,
    count,
    size,
    segments,
    digest: true,
  });
}
