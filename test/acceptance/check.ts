/** What came of a check. */
export interface Outcome {
  /** "figure": measured for comparison, nothing is demanded. "skipped": cannot run here; the line says why. */
  readonly kind: 'holds' | 'fails' | 'figure' | 'skipped';
  readonly lines: readonly string[];
}

/** One thing that must hold. */
export interface Check {
  readonly name: string;
  readonly title: string;
  readonly run: () => Promise<Outcome>;
}

/** Whether something is as it must be, or "note" where nothing is demanded; and what was found. */
export type Finding = readonly [met: boolean | 'note', found: string];

/** Holds if every demand is met. */
export function judged(findings: readonly Finding[]): Outcome {
  const mark = (met: boolean | 'note'): string => (met === 'note' ? '     ' : met ? 'ok   ' : 'NOT  ');
  return {
    kind: findings.every(([met]) => met !== false) ? 'holds' : 'fails',
    lines: findings.map(([met, found]) => mark(met) + found),
  };
}

/** 1234567 as "1,234,567". */
export function grouped(value: number): string {
  return value.toLocaleString('en-US');
}
