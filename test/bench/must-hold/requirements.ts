import { contentRules } from './content-rules.ts';
import { failureRules } from './failure-rules.ts';
import type { Judgement } from './judge.ts';
import { latencyRules } from './latency-rules.ts';
import type { Cases } from './rule.ts';
import { throughputRules } from './throughput-rules.ts';
import { upkeepRules } from './upkeep-rules.ts';

/** One thing that must hold, and whether it does in this run. */
export interface Requirement extends Judgement {
  /** Stays the same, for programs. */
  readonly id: string;
  /** What must hold, for people. */
  readonly what: string;
  /** The bound, for people. */
  readonly bound: string;
  /** The cases that it is judged by. */
  readonly needs: readonly string[];
  /** False: it is shown beside the line that counts, for comparison. */
  readonly counts: boolean;
}

/** Judges a run, by what must hold. */
export function judge(cases: Cases): Requirement[] {
  return [...throughputRules, ...contentRules, ...latencyRules, ...upkeepRules, ...failureRules].map(
    ({ id, what, bound, needs, counts = true, judge: rule }) => ({ id, what, bound, needs, counts, ...rule(cases) }),
  );
}
