import type { RelayPlan } from './engine.ts';

/** What is sent to a relay. */
export interface Traffic {
  readonly plan: RelayPlan;
  /** UDP payload in bytes. */
  readonly size: number;
  /** Packets per send. */
  readonly segments: number;
}
