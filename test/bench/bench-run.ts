import type { Effort } from './effort.ts';
import type { Engine, RelayPlan, RunningRelay } from './engine.ts';
import { DISTURBING, ForeignLoad } from './foreign-load.ts';
import { processTime, softirqThreads } from './processor-time.ts';
import { giveRealtimePriority } from './realtime.ts';
import { SOURCE_INTERFACE, Stage, type StageShape } from './stage.ts';
import { runTrial } from './trial.ts';

/** What the sender does alone. */
export interface SenderAlone {
  readonly rate: number;
  readonly secondsPerMillion: number;
  /** Others used the machine, every time that it was tried: it may be more. */
  readonly disturbed: boolean;
}

/** Packets of one calibration: some tenths of a second. */
const CALIBRATION_PACKETS = { single: 200_000, super: 1_000_000 };
const WARM_UP = { rate: 2_000, seconds: 0.05, attempts: 40 };

export interface BenchRunOptions {
  readonly effort: Effort;
  /** Sender and relays get real-time priority. */
  readonly realtime: boolean;
  /** Every attempt is told on stderr. */
  readonly verbose: boolean;
}

/** One run of the bench: its effort, and the networks that its cases share. */
export class BenchRun implements AsyncDisposable {
  readonly effort: Effort;
  readonly #realtime: boolean;
  readonly #verbose: boolean;
  readonly #stages = new Map<string, Stage>();
  readonly #shared = new Map<string, unknown>();
  readonly #kernelThreads = softirqThreads();
  #waitedMs = 0;

  constructor({ effort, realtime, verbose }: BenchRunOptions) {
    this.effort = effort;
    this.#realtime = realtime;
    this.#verbose = verbose;
  }

  /** Tells what one who watches wants to know, if one does. */
  tell(text: string): void {
    if (this.#verbose) process.stderr.write(`bench:   ${text}\n`);
  }

  /** A network of this shape; made once. */
  async stage(shape: StageShape): Promise<Stage> {
    const key = JSON.stringify(shape);
    const found = this.#stages.get(key);
    if (found !== undefined) return found;
    const stage = await this.ownStage(shape);
    this.#stages.set(key, stage);
    return stage;
  }

  /** A network of this shape for one case, which may ruin it and removes it. */
  async ownStage(shape: StageShape): Promise<Stage> {
    const stage = await Stage.create(shape);
    if (this.#realtime) await giveRealtimePriority(stage.pids, true);
    return stage;
  }

  /** Measures what many cases share the first time it is wanted. */
  async once<Figure>(name: string, measure: () => Promise<Figure>): Promise<Figure> {
    const found = this.#shared.get(name) ?? (await measure());
    this.#shared.set(name, found);
    return found as Figure;
  }

  /** A watch on what others use of the machine while this relay runs. */
  watch(stage: Stage, relay: RunningRelay | undefined): ForeignLoad {
    return new ForeignLoad([process.pid, ...stage.pids, ...(relay?.pids ?? []), ...this.#kernelThreads]);
  }

  /** Waits for the machine to be calm before something is repeated. False: enough was repeated, no more. */
  async waitToRepeat(load: ForeignLoad): Promise<boolean> {
    if (this.#waitedMs >= this.effort.patienceMs) return false;
    const start = performance.now();
    await load.waitForCalm(this.effort.calmMs);
    this.#waitedMs += performance.now() - start;
    return true;
  }

  /** Sends as fast as possible while no relay runs; again while others use the machine, and the best of it counts. */
  async senderAlone(stage: Stage, plan: RelayPlan, size: number, segments: number): Promise<SenderAlone> {
    const load = this.watch(stage, undefined);
    let best: SenderAlone | undefined;
    for (let repeat = 0; repeat <= this.effort.repeats; repeat += 1) {
      if (repeat > 0 && !(await this.waitToRepeat(load))) break;
      load.restart();
      const found = await this.#sendAlone(stage, plan, size, segments);
      const disturbed = load.cores() >= DISTURBING;
      if (best === undefined || found.rate > best.rate || !disturbed) best = { ...found, disturbed };
      if (!disturbed) break;
    }
    if (best === undefined) throw new Error('an effort has at least one attempt');
    return best;
  }

  async #sendAlone(
    stage: Stage,
    plan: RelayPlan,
    size: number,
    segments: number,
  ): Promise<Omit<SenderAlone, 'disturbed'>> {
    const pids = [stage.source.process.pid];
    const before = processTime(pids);
    const perSend = segments > 1 ? CALIBRATION_PACKETS.super : CALIBRATION_PACKETS.single;
    const { sent, seconds } = await stage.source.ask({
      do: 'send',
      interface: SOURCE_INTERFACE,
      streams: plan.streams.map(({ input }) => input),
      rate: 50_000_000,
      count: Math.round(Math.min(perSend, 500_000_000 / size)),
      size,
      segments,
      fillOnce: true,
    });
    return { rate: sent / seconds, secondsPerMillion: ((processTime(pids) - before) / sent) * 1e6 };
  }

  /**
   * Starts a relay and waits until it passes packets.
   *
   * @throws Error if nothing comes through.
   */
  async startRelay(stage: Stage, engine: Engine, plan: RelayPlan): Promise<RunningRelay> {
    const relay = await engine.start(stage, plan);
    try {
      // Not before it is programmed: the garbage collector's threads wait for one another in loops, which on one core and with this priority
      // takes minutes.
      if (this.#realtime) await giveRealtimePriority(relay.pids, true);
      const load = this.watch(stage, relay);
      for (let attempt = 0; attempt < WARM_UP.attempts; attempt += 1) {
        const { lossless } = await runTrial(stage, relay.pids, load, { plan, size: 200, segments: 1, ...WARM_UP });
        if (lossless) return relay;
      }
      throw new Error(`${engine.name}: ${WARM_UP.rate} packets per second do not come through`);
    } catch (error) {
      await relay[Symbol.asyncDispose]();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const stage of this.#stages.values()) await stage[Symbol.asyncDispose]();
  }
}
