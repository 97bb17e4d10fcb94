import { datagramsIn, framesBetween, sumOf } from '../lab/datagram-count.ts';
import type { OutputEnd } from './engine.ts';
import type { Heard, SentStream } from './prober-protocol.ts';
import { untilQuiet } from './quiet.ts';
import type { CheckedOutput, CheckedOutputs } from './results.ts';
import { SOURCE_INTERFACE, type Stage } from './stage.ts';
import type { Traffic } from './traffic.ts';

/** Packets per second of each stream: 32 receivers follow on the one core that they share with the sender. */
const RATE = 1_000;
/** Of the first stream; each further one has one more, so that their fingerprints differ. */
const PACKETS = 300;

/**
 * Lets a plain UDP receiver for each copy of each stream judge what comes to it, all of them at once, at a rate that all of them can follow:
 * loss, duplicates, order, every byte, and the sum of the payloads' SHA-256, which must be that of the stream that belongs there. What
 * came to the interfaces and was heard by none of them is counted too.
 */
export async function checkOutputs(
  stage: Stage,
  ends: readonly OutputEnd[],
  { plan, size, segments }: Traffic,
): Promise<CheckedOutputs> {
  const interfaces = [...new Set(ends.map((end) => end.interface))];
  const count = async () => await stage.sink.ask({ do: 'count', interfaces });
  await untilQuiet(async () => sumOf(await count()).frames);
  await stage.sink.ask({ do: 'listen-each', ends });
  const before = await count();
  const sent = await stage.source.ask({
    do: 'send-each',
    interface: SOURCE_INTERFACE,
    streams: plan.streams.map(({ input }, index) => ({ ...input, count: PACKETS + index })),
    rate: RATE,
    size,
    segments,
  });
  const sentTo = ({ stream }: OutputEnd): SentStream => sent[stream] ?? { sent: 0, payloadSha256: null };
  const heard = await stage.sink.ask({ do: 'stop-listening-each', after: ends.map((end) => sentTo(end).sent) });
  const after = await count();
  const outputs = heard.flatMap((one, index) => {
    const end = ends[index];
    return end === undefined ? [] : [judged(end, sentTo(end), one)];
  });
  const arrived = before.reduce((sum, frames, index) => {
    const now = after[index];
    return now === undefined ? sum : sum + datagramsIn(framesBetween(frames, now), size, plan.family);
  }, 0);
  const taken = heard.reduce((sum, one) => sum + one.received + one.duplicates + one.corrupt + one.receiverDrops, 0);
  return { rate: RATE, outputs, astray: Math.max(0, arrived - taken) };
}

function judged(end: OutputEnd, { sent, payloadSha256 }: SentStream, heard: Heard): CheckedOutput {
  const { interface: at, group, port, stream } = end;
  return {
    interface: at,
    group,
    port,
    stream,
    ...heard,
    sent,
    lost: sent - heard.received,
    same_sha256: payloadSha256 !== null && heard.payloadSha256 === payloadSha256,
  };
}
