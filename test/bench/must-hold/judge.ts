import type { Evidence } from './evidence.ts';

export type Verdict = 'HOLDS' | 'FAILS' | 'NOT MEASURED';

/** What became of one requirement. */
export interface Judgement {
  readonly verdict: Verdict;
  /** What was reached, with its unit; `null` if nothing was measured. */
  readonly figure: string | null;
  /** Where the figure is from, or why there is none. */
  readonly why: string;
}

const none = (why: string): Judgement => ({ verdict: 'NOT MEASURED', figure: null, why });

/** A figure that must be at least `bound`. One that was disturbed and is too low proves nothing. */
export function atLeast(evidence: Evidence, bound: number, format: (value: number) => string): Judgement {
  if (evidence.kind === 'none') return none(evidence.why);
  const figure = format(evidence.value);
  if (evidence.value >= bound) return { verdict: 'HOLDS', figure, why: evidence.from };
  if (evidence.disturbed) {
    return {
      verdict: 'NOT MEASURED',
      figure,
      why: `${evidence.from}; it may be more, for not all was measured undisturbed`,
    };
  }
  return { verdict: 'FAILS', figure, why: evidence.from };
}

/**
 * `own` must be at least `bound` times `other`. If the other was disturbed, the ratio looks better than it is. Where the sender limits the other,
 * both were asked for all that this sender can do, and that is what is compared; it is said.
 */
export function ratioAtLeast(own: Evidence, other: Evidence, bound: number): Judgement {
  if (own.kind === 'none') return none(own.why);
  if (other.kind === 'none') return none(other.why);
  const most = other.lowerBound === true ? '; the second is a lower bound: with a faster sender it may do more' : '';
  const from = `${own.from} / ${other.from}${most}`;
  if (other.value <= 0) return none(`${from}: nothing to compare with`);
  const ratio = own.value / other.value;
  const figure = ratio.toFixed(2);
  if (ratio >= bound) {
    return other.disturbed
      ? { verdict: 'NOT MEASURED', figure, why: `${from}; the second may be more, it was disturbed` }
      : { verdict: 'HOLDS', figure, why: from };
  }
  return own.disturbed
    ? { verdict: 'NOT MEASURED', figure, why: `${from}; the first may be more, for not all was measured undisturbed` }
    : { verdict: 'FAILS', figure, why: from };
}

/** How two figures are compared. */
export interface AtMost {
  readonly bound: number;
  readonly unit: string;
  /** What is less than this can be measured, but not be divided by. */
  readonly leastDivisor: number;
}

/** `own` must be at most `bound` times `other`, where a disturbance makes figures larger. */
export function ratioAtMost(own: Evidence, other: Evidence, { bound, unit, leastDivisor }: AtMost): Judgement {
  if (own.kind === 'none') return none(own.why);
  if (other.kind === 'none') return none(other.why);
  const from = `${own.value} ${unit} by ${own.from} / ${other.value} ${unit} by ${other.from}`;
  if (other.value < leastDivisor) return none(`${from}: the second is too little to divide by`);
  const ratio = own.value / other.value;
  const figure = ratio.toFixed(2);
  if (ratio <= bound) {
    return other.disturbed
      ? { verdict: 'NOT MEASURED', figure, why: `${from}; others used the machine during the second` }
      : { verdict: 'HOLDS', figure, why: from };
  }
  return own.disturbed
    ? { verdict: 'NOT MEASURED', figure, why: `${from}; others used the machine during the first` }
    : { verdict: 'FAILS', figure, why: from };
}

/** A figure that must be less than `bound`. Here a disturbance makes the figure larger. */
export function below(evidence: Evidence, bound: number, format: (value: number) => string): Judgement {
  if (evidence.kind === 'none') return none(evidence.why);
  const figure = format(evidence.value);
  if (evidence.value < bound) return { verdict: 'HOLDS', figure, why: evidence.from };
  return evidence.disturbed
    ? { verdict: 'NOT MEASURED', figure, why: `${evidence.from}; others used the machine` }
    : { verdict: 'FAILS', figure, why: evidence.from };
}
