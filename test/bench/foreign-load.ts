import { setTimeout as sleep } from 'node:timers/promises';
import { type MachineTime, machineTime, processTime } from './processor-time.ts';

/** More than this, in cores, used by programs that are not ours, disturbs a measurement on two cores. */
export const DISTURBING = 0.1;

const WINDOW_MS = 150;
/** The kernel tells times in steps of 10 ms: what may come of that is nobody's. */
const RESOLUTION_SECONDS = 0.02;

interface Reading {
  readonly machine: MachineTime;
  readonly own: number;
  readonly at: number;
}

/** Tells how much of the machine is used by others, and how much of it by us. */
export class ForeignLoad {
  readonly #own: readonly number[];
  #start: Reading;

  /** @param own processes that are ours; they must live as long as this. */
  constructor(own: readonly number[]) {
    this.#own = own;
    this.#start = this.#read();
  }

  /** Begins anew. */
  restart(): void {
    this.#start = this.#read();
  }

  /** Cores used by others, and taken by the hypervisor, since it began. */
  cores(): number {
    const now = this.#read();
    const seconds = (now.at - this.#start.at) / 1_000;
    const busy = now.machine.cores * seconds - (now.machine.idle - this.#start.machine.idle);
    const foreign = busy - (now.own - this.#start.own) - RESOLUTION_SECONDS;
    return Math.max(0, foreign / seconds);
  }

  /** Waits until others leave the machine alone, at most so long. */
  async waitForCalm(timeoutMs: number): Promise<void> {
    const end = performance.now() + timeoutMs;
    while (performance.now() < end) {
      this.restart();
      await sleep(WINDOW_MS);
      if (this.cores() < DISTURBING) return;
    }
  }

  #read(): Reading {
    return { machine: machineTime(), own: processTime(this.#own), at: performance.now() };
  }
}
