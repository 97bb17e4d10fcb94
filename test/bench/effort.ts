/** How much time a run takes for each figure. */
export interface Effort {
  /** Of one attempt at a rate. */
  readonly trialSeconds: number;
  /** How close a search comes: 0.02 is 2 %. */
  readonly precision: number;
  readonly maxAttempts: number;
  /** How often an attempt that lost packets in a disturbed moment is repeated. */
  readonly repeats: number;
  /** How long to wait for the machine to be calm before each of them. */
  readonly calmMs: number;
  /** How long to wait for that in all; then nothing is repeated any more, and what was disturbed stays so. */
  readonly patienceMs: number;
  readonly latencySeconds: number;
  readonly latencyRuns: number;
  readonly upkeepSeconds: number;
  /** Of a relay without any packets: processor time is told in steps of 10 ms. */
  readonly idleSeconds: number;
  /** Of traffic while an output fails. */
  readonly failureSeconds: number;
}

export const CONFIRMATIONS = 3;

export const quickEffort: Effort = {
  trialSeconds: 0.15,
  precision: 0.07,
  maxAttempts: 22,
  repeats: 1,
  calmMs: 400,
  patienceMs: 10_000,
  latencySeconds: 0.4,
  latencyRuns: 3,
  upkeepSeconds: 2,
  idleSeconds: 10,
  failureSeconds: 0.5,
};

/** With real-time priority others hardly disturb, and waiting for them to end is of no use. */
export function besideOthers(effort: Effort): Effort {
  return { ...effort, repeats: Math.min(1, effort.repeats), calmMs: 0 };
}

export const fullEffort: Effort = {
  trialSeconds: 1,
  precision: 0.02,
  maxAttempts: 40,
  repeats: 4,
  calmMs: 5_000,
  patienceMs: 600_000,
  latencySeconds: 2,
  latencyRuns: 5,
  upkeepSeconds: 10,
  idleSeconds: 10,
  failureSeconds: 1,
};
