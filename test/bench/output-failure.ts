import { setTimeout as sleep } from 'node:timers/promises';
import { command } from '../lab/command.ts';
import { datagramsIn, type Frames, framesBetween } from '../lab/datagram-count.ts';
import type { BenchRun } from './bench-run.ts';
import type { OutputFailureCase } from './case.ts';
import type { Engine } from './engine.ts';
import { checkOutputs } from './output-check.ts';
import { outputsFlaw } from './output-verdict.ts';
import type { OutputFailure, OutputFailureResult } from './results.ts';
import { SOURCE_INTERFACE, type Stage } from './stage.ts';
import { threeDigits } from './statistics.ts';

const SIZE = 1316;
/** The output fails after this part of the traffic. */
const FAILS_AFTER = 0.3;
/** Until the last copies have arrived. */
const ARRIVE_MS = 300;

/** What interfaces have received, by the number of the output. */
type Counted = ReadonlyMap<number, Frames>;

/** In this order: an interface that was deleted does not come back. */
const WAYS = ['down', 'stripped', 'full', 'deleted'] as const;

/**
 * Lets the outputs of a relay fail one after the other while packets come, and counts at the ends of the others. Before that all must be
 * right.
 */
export async function measureOutputFailure(
  run: BenchRun,
  { plan, rate }: OutputFailureCase,
  engine: Engine,
): Promise<OutputFailureResult> {
  // Nobody else can use it afterwards.
  await using stage = await run.ownStage({ mtu: 1_500, outputs: engine.outputsFor(plan), family: plan.family });
  await stage.setSegmentation({ source: false, outputs: true });
  await using relay = await run.startRelay(stage, engine, plan);
  const { failureSeconds } = run.effort;
  const load = run.watch(stage, relay);
  const flaw = outputsFlaw(await checkOutputs(stage, relay.ends, { plan, size: SIZE, segments: 1 }));
  if (flaw !== undefined) throw new Error(`before any of them fails: ${flaw}`);
  const streams = plan.streams.map(({ input }) => input);
  const failures: OutputFailure[] = [];
  for (const [index, how] of WAYS.entries()) {
    const others = stage.outputInterfaces.map((_, output) => output).slice(index + 1);
    const before = await count(stage, [index, ...others]);
    const sending = stage.source.ask({
      do: 'send',
      interface: SOURCE_INTERFACE,
      streams,
      rate,
      count: rate * failureSeconds,
      size: SIZE,
      segments: 1,
    });
    await sleep(FAILS_AFTER * failureSeconds * 1_000);
    const failing = await count(stage, [index, ...others]);
    await fail(stage, index, how);
    const failed = await count(stage, others);
    const { sent } = await sending;
    await sleep(ARRIVE_MS);
    const gone = how === 'deleted';
    const after = await count(stage, gone ? others : [index, ...others]);
    const between = (from: Counted, to: Counted, output: number): number => {
      const [first, last] = [from.get(output), to.get(output)];
      return first === undefined || last === undefined ? 0 : datagramsIn(framesBetween(first, last), SIZE);
    };
    const arrived = (output: number): number => between(before, after, output);
    const atFailed = gone ? null : arrived(index);
    // A stripped interface still has what it takes to send frames.
    if (how !== 'stripped' && atFailed === sent) throw new Error(`the output that is ${how} has lost nothing`);
    failures.push({
      how,
      sent,
      others: others.length,
      expected: sent * others.length,
      // One that gets more than it should does not make up for one that gets less.
      arrived: others.reduce((sum, output) => sum + sent - Math.abs(sent - arrived(output)), 0),
      arrived_at_failed: atFailed,
      arrived_before: Math.min(...[index, ...others].map((output) => between(before, failing, output))),
      arrived_after: Math.min(...others.map((output) => between(failed, after, output))),
    });
  }
  return {
    kind: 'output-failure',
    engine: engine.name,
    rate,
    failures,
    foreign_cores: threeDigits(load.cores()),
    note: relay.note,
  };
}

/** What the sink's interfaces have received so far, by number. */
async function count(stage: Stage, outputs: readonly number[]): Promise<Counted> {
  const interfaces = outputs.map((output) => stage.sinkInterface(output));
  const counted = await stage.sink.ask({ do: 'count', interfaces });
  return new Map(
    outputs.flatMap((output, index) => {
      const frames = counted[index];
      return frames === undefined ? [] : [[output, frames] as const];
    }),
  );
}

async function fail(stage: Stage, output: number, how: OutputFailure['how']): Promise<void> {
  const name = stage.outputInterfaces[output];
  if (name === undefined) throw new Error(`the relay has no output ${output}`);
  switch (how) {
    case 'down':
      return await stage.lab.ip('relay', `link set dev ${name} down`);
    case 'stripped':
      return await stage.lab.ip('relay', `address flush dev ${name}`);
    case 'deleted':
      return await stage.lab.deleteInterface('relay', name);
    case 'full': {
      const shape = ['root', 'tbf', 'rate', '4mbit', 'burst', '3000', 'limit', '6000'];
      const namespace = `--net=/run/netns/${stage.lab.realName('relay')}`;
      await command(['nsenter', namespace, '--', 'tc', 'qdisc', 'replace', 'dev', name, ...shape]);
    }
  }
}
