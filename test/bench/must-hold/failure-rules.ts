import type { OutputFailure } from '../results.ts';
import { resultOf } from './evidence.ts';
import type { Judgement } from './judge.ts';
import { type Cases, pps, type Rule } from './rule.ts';

/** What other outputs lose while one fails. */
export const failureRules: readonly Rule[] = (
  [
    ['deleted', 'deleted'],
    ['down', 'set down'],
    ['stripped', 'stripped of its address'],
    ['full', 'made full'],
  ] as const
).map(([how, text]) => ({
  id: `output-${how}`,
  what: `one output interface ${text}: packets that the other outputs lose`,
  bound: '0',
  needs: ['outputs-fail'],
  judge: (cases) => failure(cases, how),
}));

function failure(cases: Cases, how: OutputFailure['how']): Judgement {
  const result = resultOf(cases, 'outputs-fail', 'mcfleet', 'output-failure');
  if (result.kind === 'none') return { verdict: 'NOT MEASURED', figure: null, why: result.why };
  const found = result.failures.find((one) => one.how === how);
  if (found === undefined)
    return { verdict: 'NOT MEASURED', figure: null, why: 'outputs-fail: it did not come to that' };
  const { arrived_before: early, arrived_after: late } = found;
  const when = `of which at least ${early} came before it failed and ${late} after`;
  const why = `outputs-fail: ${found.others} others, ${found.sent} packets each at ${pps(result.rate)}, ${when}`;
  const lost = found.expected - found.arrived;
  if (lost === 0 && (early <= 0 || late <= 0)) {
    return { verdict: 'NOT MEASURED', figure: null, why: `${why}: it did not fail while packets came` };
  }
  return { verdict: lost === 0 ? 'HOLDS' : 'FAILS', figure: lost.toLocaleString('en-US'), why };
}
