import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchRun } from './bench-run.ts';
import type { UpkeepCase } from './case.ts';
import { oneEnd } from './ends.ts';
import type { Engine, RunningRelay } from './engine.ts';
import { processTime, residentBytes } from './processor-time.ts';
import type { UpkeepResult } from './results.ts';
import { SOURCE_INTERFACE, type Stage } from './stage.ts';
import { median, threeDigits } from './statistics.ts';

/** Nobody relays this. */
const UNMATCHED = { group: '239.200.0.1', port: 5001 };
/** After the start a program may have work of its own for a moment. */
const SETTLE_MS = 500;
/** From the last packet's sending to its being counted. */
const ARRIVE_MS = 100;
const SIZE = 1316;
const SEGMENTS = 20;
/** Changes of one relay, of which the median and the slowest count. */
const CHANGES = 21;

/** Measures what a relay uses while it relays little or nothing. */
export async function measureUpkeep(run: BenchRun, benchCase: UpkeepCase, engine: Engine): Promise<UpkeepResult> {
  const { upkeepSeconds, idleSeconds } = run.effort;
  const stage = await run.stage({ mtu: 1_500, outputs: 1, family: 4 });
  await stage.setSegmentation({ source: false, outputs: true });
  const relay = await run.startRelay(stage, engine, benchCase.plan);
  try {
    await sleep(SETTLE_MS);
    const load = run.watch(stage, relay);
    const before = processTime(relay.pids);
    const start = performance.now();
    const traffic = benchCase.wantedRate > 0 ? await send(stage, relay, benchCase, upkeepSeconds) : undefined;
    if (traffic === undefined) await sleep(idleSeconds * 1_000);
    const seconds = (performance.now() - start) / 1_000;
    const cpuShare = threeDigits((processTime(relay.pids) - before) / seconds);
    const foreignCores = threeDigits(load.cores());
    // Before memory is looked at: changes leave something behind.
    const change = relay.change === null ? null : await changeTime(relay.change);
    return {
      kind: 'upkeep',
      engine: engine.name,
      unmatched_pps: threeDigits((traffic?.unmatched ?? 0) / seconds),
      wanted: traffic?.wanted ?? null,
      cpu_share: cpuShare,
      seconds: threeDigits(seconds),
      resident_bytes: residentBytes(relay.pids),
      ring_bytes: relay.ringBytes,
      apply_ms: relay.applyMs === null ? null : threeDigits(relay.applyMs),
      change_ms: change,
      foreign_cores: foreignCores,
      note: relay.note,
    };
  } finally {
    await relay[Symbol.asyncDispose]();
  }
}

async function changeTime(change: () => Promise<number>): Promise<{ median: number; most: number }> {
  const times: number[] = [];
  for (let i = 0; i < CHANGES; i++) times.push(await change());
  return { median: threeDigits(median(times)), most: threeDigits(Math.max(...times)) };
}

/** Sends what the relay wants, beside what it does not. */
async function send(
  stage: Stage,
  relay: RunningRelay,
  { plan, wantedRate, unmatchedRate }: UpkeepCase,
  seconds: number,
): Promise<{ unmatched: number; wanted: UpkeepResult['wanted'] }> {
  await stage.sink.ask({ do: 'listen', end: oneEnd(relay), raw: false });
  const { sent, background } = await stage.source.ask({
    do: 'send',
    interface: SOURCE_INTERFACE,
    streams: plan.streams.map(({ input }) => input),
    rate: wantedRate,
    count: wantedRate * seconds,
    size: SIZE,
    segments: 1,
    ...(unmatchedRate > 0 && { background: { stream: UNMATCHED, rate: unmatchedRate, segments: SEGMENTS } }),
  });
  await sleep(ARRIVE_MS);
  const { received, duplicates, reordered, corrupt } = await stage.sink.ask({ do: 'stop-listening' });
  return { unmatched: background, wanted: { rate: wantedRate, sent, received, duplicates, reordered, corrupt } };
}
