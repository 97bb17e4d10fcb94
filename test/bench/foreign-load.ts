import { setTimeout as sleep } from 'node:timers/promises';
import { type MachineTime, machineTime, processTime } from './processor-time.ts';

/** More than this, in cores, used by programs that are not ours, disturbs a measurement on two cores. */
export const DISTURBING = 0.1;

const WINDOW_MS = 150;

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
    const busy = now.machine.busy - this.#start.machine.busy + now.machine.stolen - this.#start.machine.stolen;
    return Math.max(0, (busy - (now.own - this.#start.own)) / ((now.at - this.#start.at) / 1000));
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
