import { CONFIRMATIONS } from '../effort.ts';
import type { EngineName } from '../engine.ts';
import { outputsFlaw } from '../output-verdict.ts';
import type { CaseReport, Result, ThroughputResult } from '../results.ts';
import { checkedAtLess, lostByRelay, receivedWrong } from './content.ts';

/** A figure that a run reached, or why there is none. */
export type Evidence =
  | {
      readonly kind: 'figure';
      readonly value: number;
      /** True: others used the machine, undisturbed it may be more. */
      readonly disturbed: boolean;
      /** True: the sender could do no more, so that it is at least this. Default false. */
      readonly lowerBound?: boolean;
      /** Where it is from, and what is to be said about it, for people. */
      readonly from: string;
    }
  | { readonly kind: 'none'; readonly why: string };

/** A result of this kind, or why there is none. */
export type Found<Kind extends Result['kind']> =
  | Extract<Result, { kind: Kind }>
  | { readonly kind: 'none'; readonly why: string };

/** The result of one relay in one case. */
export function resultOf<Kind extends Result['kind']>(
  cases: readonly CaseReport[],
  id: string,
  engine: EngineName,
  kind: Kind,
): Found<Kind> {
  const report = cases.find((one) => one.id === id);
  if (report === undefined) return { kind: 'none', why: `${id} was not asked for` };
  const found = report.results.find((one) => one.engine === engine);
  if (found === undefined) return { kind: 'none', why: `the case ${id} has no ${engine}` };
  if (found.kind === kind) return found as Extract<Result, { kind: Kind }>;
  if (found.kind === 'not-available') return { kind: 'none', why: `${id}: ${found.reason}` };
  if (found.kind === 'failed') return { kind: 'none', why: `${id} failed: ${found.error}` };
  return { kind: 'none', why: `the case ${id} measures something else` };
}

/** The highest rate that was shown in any of these cases, which differ in how the relay is set. */
export function bestRate(
  cases: readonly CaseReport[],
  ids: readonly string[],
  engine: EngineName,
  of: 'in_pps' | 'out_pps',
): Evidence {
  const all = ids.map((id) => rate(cases, id, engine, of));
  const figures = all.filter((one) => one.kind === 'figure');
  const [best] = figures.toSorted((a, b) => b.value - a.value);
  if (best === undefined) {
    return { kind: 'none', why: all.map((one) => (one.kind === 'none' ? one.why : '')).join('; ') };
  }
  const mayBeMore = figures.some(({ disturbed }) => disturbed) || figures.length < all.length;
  const flawed = figures.filter((one) => one.value === 0 && one !== best);
  return { ...best, disturbed: mayBeMore, from: [best, ...flawed].map(({ from }) => from).join('; ') };
}

function rate(cases: readonly CaseReport[], id: string, engine: EngineName, of: 'in_pps' | 'out_pps'): Evidence {
  const result = resultOf(cases, id, engine, 'throughput');
  if (result.kind === 'none') return result;
  const flaw = flawOf(result);
  const disturbed = result.disturbance.in_the_answer;
  if (flaw !== undefined) return { kind: 'figure', value: 0, disturbed, from: `${id}, ${engine}: ${flaw}` };
  const lowerBound = result.limited_by === 'sender';
  const notes = [lowerBound ? 'the sender does no more' : undefined, checkedAtLess(result)];
  const from = [`${id}, ${engine}`, ...notes.filter((note) => note !== undefined)].join(', ');
  return { kind: 'figure', value: result[of], disturbed, lowerBound, from };
}

/** Why a rate is not shown although there is a number. */
function flawOf({ confirmed, checked, each_output: each }: ThroughputResult): string | undefined {
  if (confirmed < CONFIRMATIONS) return `held ${confirmed} of ${CONFIRMATIONS} times`;
  return (
    receivedWrong(checked) ??
    (checked.whole === null ? undefined : receivedWrong(checked.whole)) ??
    lostByRelay(checked) ??
    outputsFlaw(each)
  );
}
