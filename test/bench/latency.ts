import { setTimeout as sleep } from 'node:timers/promises';
import type { BenchRun } from './bench-run.ts';
import type { LatencyCase } from './case.ts';
import { type Damage, damageList } from './damage.ts';
import { oneEnd } from './ends.ts';
import type { Engine } from './engine.ts';
import { DISTURBING, type ForeignLoad } from './foreign-load.ts';
import { addedLatency, type Quantiles } from './latency-added.ts';
import type { Prober } from './prober-client.ts';
import type { End, Stream } from './prober-protocol.ts';
import type { LatencyResult } from './results.ts';
import { INPUT_INTERFACE, SOURCE_INTERFACE, type Stage } from './stage.ts';
import { median, threeDigits } from './statistics.ts';

const SIZE = 1316;
const SETTLE_MS = 50;

/** From the source to a receiver. */
interface Path {
  readonly stage: Stage;
  readonly rate: number;
  readonly input: Stream;
  readonly receiver: Prober;
  readonly end: End;
  readonly load: ForeignLoad;
}

interface Run extends Quantiles, Damage {
  readonly sent: number;
  readonly lost: number;
  readonly receiverDrops: number;
  readonly foreignCores: number;
}

/** Measures the time from the sender's stamp to the kernel's at the receiver, with and without the relay. */
export async function measureLatency(run: BenchRun, benchCase: LatencyCase, engine: Engine): Promise<LatencyResult> {
  const { plan } = benchCase;
  const stage = await run.stage({ mtu: 1_500, outputs: 1, family: 4 });
  await stage.setSegmentation({ source: true, outputs: true });
  const [stream] = plan.streams;
  if (stream === undefined) throw new Error('a plan has at least one stream');
  const measure = async (path: Omit<Path, 'stage' | 'input' | 'rate'>): Promise<Run[]> => {
    const runs: Run[] = [];
    for (let i = 0; i < run.effort.latencyRuns; i += 1) {
      runs.push(await calmRun(run, { stage, input: stream.input, rate: benchCase.rate, ...path }));
    }
    return runs;
  };
  const withoutRelay = await run.once(`latency without relay at ${benchCase.rate}`, async () => {
    const receiver = await stage.relayProber();
    const load = run.watch(stage, undefined);
    const runs = await measure({ receiver, end: { interface: INPUT_INTERFACE, ...stream.input }, load });
    const wrong = damageList(damageOf(runs));
    if (wrong.length > 0) throw new Error(`without a relay came ${wrong.join(', ')}`);
    return { ...medians(runs), foreign_cores: mostForeignCores(runs) };
  });
  const relay = await run.startRelay(stage, engine, plan);
  try {
    const runs = await measure({ receiver: stage.sink, end: oneEnd(relay), load: run.watch(stage, relay) });
    const total = medians(runs);
    return {
      kind: 'latency',
      engine: engine.name,
      rate: benchCase.rate,
      ...total,
      without_relay: withoutRelay,
      added: addedLatency(total, withoutRelay),
      sent: sum(runs, 'sent'),
      lost: sum(runs, 'lost'),
      receiver_drops: sum(runs, 'receiverDrops'),
      ...damageOf(runs),
      runs: runs.length,
      foreign_cores: mostForeignCores(runs),
      ratio_p50: {},
      ratio_p99: {},
      ratio_added_p50: {},
      ratio_added_p99: {},
      note: relay.note,
    };
  } finally {
    await relay[Symbol.asyncDispose]();
  }
}

/** Repeats a run while others use the machine, a few times. */
async function calmRun(run: BenchRun, path: Path): Promise<Run> {
  const { latencySeconds, repeats } = run.effort;
  let best = await once(path, latencySeconds);
  for (let repeat = 0; repeat < repeats && best.foreignCores >= DISTURBING; repeat += 1) {
    if (!(await run.waitToRepeat(path.load))) break;
    const again = await once(path, latencySeconds);
    if (again.foreignCores < best.foreignCores) best = again;
  }
  return best;
}

async function once({ stage, rate, input, receiver, end, load }: Path, seconds: number): Promise<Run> {
  await receiver.ask({ do: 'listen', end, raw: false });
  load.restart();
  const { sent } = await stage.source.ask({
    do: 'send',
    interface: SOURCE_INTERFACE,
    streams: [input],
    rate,
    count: Math.round(rate * seconds),
    size: SIZE,
    segments: 1,
  });
  const foreignCores = load.cores();
  await sleep(SETTLE_MS);
  const { latencyUs, received, receiverDrops, duplicates, reordered, corrupt } = await receiver.ask({
    do: 'stop-listening',
  });
  if (latencyUs === null) throw new Error(`nothing arrived at ${end.interface} for ${end.group}:${end.port}`);
  const { p50, p99, p999 } = latencyUs;
  const damage = { duplicates, reordered, corrupt };
  return {
    p50_us: p50,
    p99_us: p99,
    p999_us: p999,
    sent,
    lost: sent - received,
    receiverDrops,
    foreignCores,
    ...damage,
  };
}

function medians(runs: readonly Quantiles[]): Quantiles {
  const of = (key: keyof Quantiles): number => threeDigits(median(runs.map((one) => one[key])));
  return { p50_us: of('p50_us'), p99_us: of('p99_us'), p999_us: of('p999_us') };
}

function damageOf(runs: readonly Run[]): Damage {
  return { duplicates: sum(runs, 'duplicates'), reordered: sum(runs, 'reordered'), corrupt: sum(runs, 'corrupt') };
}

function sum(runs: readonly Run[], of: keyof Run): number {
  return runs.reduce((total, run) => total + run[of], 0);
}

function mostForeignCores(runs: readonly Run[]): number {
  return threeDigits(Math.max(...runs.map(({ foreignCores }) => foreignCores)));
}
