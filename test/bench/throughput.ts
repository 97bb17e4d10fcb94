import type { BenchRun, SenderAlone } from './bench-run.ts';
import type { ThroughputCase } from './case.ts';
import { checkContent } from './content-check.ts';
import { CONFIRMATIONS } from './effort.ts';
import type { Engine, RelayPlan, RunningRelay } from './engine.ts';
import { DISTURBING, type ForeignLoad } from './foreign-load.ts';
import { checkOutputs } from './output-check.ts';
import type { ThroughputResult } from './results.ts';
import { type Attempt, findZeroLossRate, KEEPS_UP } from './search.ts';
import type { Stage } from './stage.ts';
import { threeDigits } from './statistics.ts';
import { runTrial, type Trial, type TrialTraffic } from './trial.ts';

/** What one UDP datagram, and so one send, may hold. */
const MOST_BYTES_PER_SEND = 65_507;
const LOWEST_RATE = 2_000;

/** Looks for the highest rate without loss, and checks what arrives. */
export async function measureThroughput(
  run: BenchRun,
  benchCase: ThroughputCase,
  engine: Engine,
): Promise<ThroughputResult> {
  const { plan, size } = benchCase;
  const mtu = size + 28 > 1500 ? 9_100 : 1_500;
  const stage = await run.stage({ mtu, outputs: engine.outputsFor(plan), family: plan.family });
  await stage.setSegmentation({ source: benchCase.arriving === 'super', outputs: benchCase.outputSegmentation });
  const segments = Math.min(benchCase.perSend, Math.floor(MOST_BYTES_PER_SEND / size));
  const before = await run.senderAlone(stage, plan, size, segments);

  const relay = await run.startRelay(stage, engine, plan);
  let measured: Omit<ThroughputResult, 'disturbance'>;
  const attempts = new Attempts(run, stage, relay, { plan, size, segments, seconds: run.effort.trialSeconds });
  try {
    const found = await findZeroLossRate((rate) => attempts.attempt(rate), {
      lowest: LOWEST_RATE,
      highest: before.rate,
      precision: run.effort.precision,
      confirmations: CONFIRMATIONS,
      maxAttempts: run.effort.maxAttempts,
    });
    const fault = await relay.fault?.();
    if (fault !== undefined) throw new Error(fault);
    const cost = attempts.costNear(found.rate);
    measured = {
      kind: 'throughput',
      engine: engine.name,
      in_pps: threeDigits(found.rate),
      out_pps: threeDigits(found.rate * copiesOf(plan)),
      limited_by: found.limitedBy,
      confirmed: found.confirmed,
      attempts: found.attempts,
      relay_cpu_seconds_per_million: relay.pids.length === 0 || cost === undefined ? null : threeDigits(cost.relay),
      sender_cpu_seconds_per_million:
        cost === undefined ? null : threeDigits(Math.max(0, cost.sender - before.secondsPerMillion)),
      sender_ceiling_pps: threeDigits(before.rate),
      checked: await checkContent(stage, relay, { plan, size, segments, rate: found.rate }),
      each_output: relay.ends.length === 1 ? null : await checkOutputs(stage, relay.ends, { plan, size, segments }),
      ratio: {},
      note: relay.note,
    };
  } finally {
    await relay[Symbol.asyncDispose]();
  }
  const after = await run.senderAlone(stage, plan, size, segments);
  return { ...measured, disturbance: attempts.disturbance(measured, before, after) };
}

const copiesOf = ({ streams }: RelayPlan): number => streams[0]?.outputs.length ?? 0;

/** Attempts at rates, repeated where others may have caused the loss, or that the sender fell behind. */
class Attempts {
  readonly #run: BenchRun;
  readonly #stage: Stage;
  readonly #relay: RunningRelay;
  readonly #traffic: Omit<TrialTraffic, 'rate'>;
  readonly #load: ForeignLoad;
  readonly #lossless: Trial[] = [];
  #repeated = 0;
  #disturbed = false;
  #foreignCores = 0;

  constructor(run: BenchRun, stage: Stage, relay: RunningRelay, traffic: Omit<TrialTraffic, 'rate'>) {
    this.#run = run;
    this.#stage = stage;
    this.#relay = relay;
    this.#traffic = traffic;
    this.#load = run.watch(stage, relay);
  }

  async attempt(rate: number): Promise<Attempt> {
    const { repeats } = this.#run.effort;
    for (let repeat = 0; ; repeat += 1) {
      const trial = await runTrial(this.#stage, this.#relay.pids, this.#load, { ...this.#traffic, rate });
      this.#foreignCores = Math.max(this.#foreignCores, trial.foreignCores);
      this.#run.tell(
        `asked ${Math.round(rate)}, sent ${Math.round(trial.rate)} per second: ${trial.arrived} of ${trial.expected} arrived` +
          `${trial.lossless ? '' : ', in time not all'}; others used ${trial.foreignCores.toFixed(2)} cores`,
      );
      if (trial.lossless) this.#lossless.push(trial);
      const asItShould = trial.lossless && trial.rate >= rate * KEEPS_UP;
      if (asItShould || trial.foreignCores < DISTURBING) return trial;
      if (repeat === repeats || !(await this.#run.waitToRepeat(this.#load))) {
        this.#disturbed = true;
        return trial;
      }
      this.#repeated += 1;
    }
  }

  /** Seconds per million packets, out of the relay and into it, of the attempts at about this rate. */
  costNear(rate: number): { relay: number; sender: number } | undefined {
    const near = this.#lossless.filter((trial) => Math.abs(trial.rate / rate - 1) < 0.05);
    if (near.length === 0) return undefined;
    const sum = (of: (trial: Trial) => number): number => near.reduce((total, trial) => total + of(trial), 0);
    return {
      relay: (sum((trial) => trial.relaySeconds) / sum((trial) => trial.arrived)) * 1e6,
      sender: (sum((trial) => trial.senderSeconds) / sum((trial) => trial.sent)) * 1e6,
    };
  }

  disturbance(
    { limited_by: limit }: Pick<ThroughputResult, 'limited_by'>,
    before: SenderAlone,
    after: SenderAlone,
  ): ThroughputResult['disturbance'] {
    return {
      repeated: this.#repeated,
      // A relay that loses before the sender's ceiling does not depend on it.
      in_the_answer: this.#disturbed || (limit === 'sender' && before.disturbed),
      foreign_cores: threeDigits(this.#foreignCores),
      sender_after_to_before: threeDigits(after.rate / before.rate),
    };
  }
}
