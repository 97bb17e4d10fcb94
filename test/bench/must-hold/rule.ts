import type { EngineName } from '../engine.ts';
import { DISTURBING } from '../foreign-load.ts';
import type { CaseReport } from '../results.ts';
import { bestRate, type Evidence } from './evidence.ts';
import { type Judgement, ratioAtLeast } from './judge.ts';

export type Cases = readonly CaseReport[];

/** A rule: what must hold, and how to judge it from the cases of a run. */
export interface Rule {
  readonly id: string;
  readonly what: string;
  readonly bound: string;
  readonly needs: readonly string[];
  /** Omitted: it counts. */
  readonly counts?: boolean;
  readonly judge: (cases: Cases) => Judgement;
}

export const pps = (value: number): string => `${Math.round(value).toLocaleString('en-US')} pps`;
export const percent = (digits: number) => (value: number) => `${(value * 100).toFixed(digits)} %`;
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
export const ms = (value: number): string => `${value} ms`;

/** What was measured once; `foreignCores`: that others used meanwhile. */
export function figure(value: number, from: string, foreignCores: number): Evidence {
  return { kind: 'figure', value, from, disturbed: foreignCores >= DISTURBING };
}

/** A rule about the best rate of some cases, compared with that of another. */
export function ratio(
  id: string,
  what: string,
  ids: readonly string[],
  [otherCase, otherEngine]: readonly [string, EngineName],
  bound: number,
): Rule {
  return {
    id,
    what,
    bound: `>= ${bound}`,
    needs: [...ids, otherCase],
    judge: (cases) =>
      ratioAtLeast(
        withValue(bestRate(cases, ids, 'mcfleet', 'in_pps')),
        withValue(bestRate(cases, [otherCase], otherEngine, 'in_pps')),
        bound,
      ),
  };
}

function withValue(evidence: Evidence): Evidence {
  return evidence.kind === 'none' ? evidence : { ...evidence, from: `${pps(evidence.value)} (${evidence.from})` };
}
