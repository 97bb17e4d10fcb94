import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchRun } from './bench-run.ts';
import type { UpkeepCase } from './cases.ts';
import type { Engine } from './engine.ts';
import { processTime, residentBytes } from './processor-time.ts';
import type { UpkeepResult } from './results.ts';
import { SOURCE_INTERFACE } from './stage.ts';
import { threeDigits } from './statistics.ts';

/** Nobody relays this. */
const UNMATCHED = { group: '239.200.0.1', port: 5001 };
/** After the start a program may have work of its own for a moment. */
const SETTLE_MS = 500;
const SIZE = 1316;
const SEGMENTS = 20;

/** Measures what a relay uses while it relays nothing. */
export async function measureUpkeep(run: BenchRun, benchCase: UpkeepCase, engine: Engine): Promise<UpkeepResult> {
  const { plan, unmatchedRate } = benchCase;
  const { upkeepSeconds } = run.effort;
  const stage = await run.stage({ mtu: 1_500, outputs: 1 });
  await stage.setSegmentation({ source: false, outputs: true });
  const relay = await run.startRelay(stage, engine, plan);
  try {
    await sleep(SETTLE_MS);
    const load = run.watch(stage, relay);
    const before = processTime(relay.pids);
    const start = performance.now();
    let rate = 0;
    if (unmatchedRate > 0) {
      const { sent, seconds } = await stage.source.ask({
        do: 'send',
        interface: SOURCE_INTERFACE,
        streams: [UNMATCHED],
        rate: unmatchedRate,
        count: unmatchedRate * upkeepSeconds,
        size: SIZE,
        segments: SEGMENTS,
      });
      rate = sent / seconds;
    } else {
      await sleep(upkeepSeconds * 1_000);
    }
    const seconds = (performance.now() - start) / 1_000;
    return {
      kind: 'upkeep',
      engine: engine.name,
      unmatched_pps: threeDigits(rate),
      cpu_share: threeDigits((processTime(relay.pids) - before) / seconds),
      seconds: threeDigits(seconds),
      resident_bytes: residentBytes(relay.pids),
      ring_bytes: relay.ringBytes,
      apply_ms: relay.applyMs === null ? null : threeDigits(relay.applyMs),
      foreign_cores: threeDigits(load.cores()),
      note: relay.note,
    };
  } finally {
    await relay[Symbol.asyncDispose]();
  }
}
