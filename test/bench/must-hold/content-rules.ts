import { benchCases } from '../cases.ts';
import type { EngineName } from '../engine.ts';
import { outputsFlaw } from '../output-verdict.ts';
import type { CheckedAt, ThroughputResult } from '../results.ts';
import { damaged, missing } from './content.ts';
import { resultOf } from './evidence.ts';
import type { Judgement } from './judge.ts';
import { type Cases, pps, type Rule } from './rule.ts';

const WITH_BOUNDARIES = ['super-48', 'super-1to1', 'super-1to8'];
/** Fewer datagrams say nothing of how super-frames are cut apart. */
const ENOUGH_DATAGRAMS = 1_000;

const OWN_ENGINES: readonly EngineName[] = ['mcfleet', 'mcfleet-kernel'];
const EVERY_CASE = benchCases.flatMap(({ kind, id, engines }) =>
  kind === 'throughput'
    ? engines.filter((engine) => OWN_ENGINES.includes(engine)).map((engine) => ({ id, engine }))
    : [],
);

/** What receivers find in the packets. */
export const contentRules: readonly Rule[] = [
  {
    id: 'super-boundaries',
    what: 'super-frames arriving: datagrams of a plain UDP receiver that are as they were sent',
    bound: 'all',
    needs: WITH_BOUNDARIES,
    judge: boundaries,
  },
  {
    id: 'content',
    what: 'content of every case: order, boundaries, bytes',
    bound: 'all',
    needs: EVERY_CASE.map(({ id }) => id),
    judge: everyCase,
  },
];

/** How the content of one case is. */
interface Finding {
  readonly state: 'right' | 'wrong' | 'unknown';
  readonly text: string;
}

function boundaries(cases: Cases): Judgement {
  const found = WITH_BOUNDARIES.map((id): Finding => {
    const result = resultOf(cases, id, 'mcfleet', 'throughput');
    return result.kind === 'none' ? { state: 'unknown', text: result.why } : boundariesOf(id, result);
  });
  return verdictOf(found, { right: 'all', wrong: 'not all' });
}

function boundariesOf(id: string, { checked, each_output: each }: ThroughputResult): Finding {
  const { whole } = checked;
  const flaw = outputsFlaw(each);
  if (flaw !== undefined) return { state: 'wrong', text: `${id}: ${flaw}` };
  const text = `${id} ${counts(checked)}${whole === null ? '' : `; taken whole ${counts(whole)}`}`;
  const heard = whole === null ? [checked] : [checked, whole];
  if (heard.some((one) => damaged(one) !== undefined)) return { state: 'wrong', text };
  const few = heard.find(({ sent }) => sent < ENOUGH_DATAGRAMS);
  if (few !== undefined) return { state: 'unknown', text: `${id}: ${few.sent} datagrams sent, which is too few` };
  const lost = heard.filter((one) => missing(one) !== undefined);
  if (lost.some((one) => one.lost < 0 || one.lost > one.receiverDrops)) return { state: 'wrong', text };
  const [dropped] = lost;
  if (dropped === undefined) return { state: 'right', text };
  return { state: 'unknown', text: `${id}: the receiver itself lost ${dropped.receiverDrops}` };
}

function counts({ received, sent, duplicates, reordered, corrupt, rate }: CheckedAt): string {
  return `${received} of ${sent}, ${duplicates} twice, ${reordered} late, ${corrupt} corrupt, at ${pps(rate)}`;
}

function everyCase(cases: Cases): Judgement {
  const every = EVERY_CASE.map(({ id, engine }) => ({ id, result: resultOf(cases, id, engine, 'throughput') }));
  const measured = every.flatMap(({ id, result }) => (result.kind === 'none' ? [] : [contentOf(id, result)]));
  if (measured.length === 0) {
    const why = every.flatMap(({ result }) => (result.kind === 'none' ? [result.why] : []));
    return { verdict: 'NOT MEASURED', figure: null, why: `no case was measured: ${why[0]}` };
  }
  const right = measured.filter(({ state }) => state === 'right');
  const figure = `${right.length} of ${measured.length} cases`;
  const others = every.length - measured.length;
  const rest = others === 0 ? '' : `${others} more were not measured`;
  const { verdict, why } = verdictOf(
    measured.filter(({ state }) => state !== 'right'),
    { right: figure, wrong: figure },
  );
  return { verdict, figure, why: [why, rest].filter((text) => text !== '').join('; ') };
}

function contentOf(id: string, { engine, checked, each_output: each }: ThroughputResult): Finding {
  const heard = checked.whole === null ? [checked] : [checked, checked.whole];
  const say = (text: string): string => `${id}, ${engine}: ${text}`;
  const [damage] = heard.flatMap((one) => damaged(one) ?? []);
  if (damage !== undefined) return { state: 'wrong', text: say(damage) };
  const flaw = outputsFlaw(each);
  if (flaw !== undefined) return { state: 'wrong', text: say(flaw) };
  if (checked.sent === 0) return { state: 'unknown', text: say('nothing was sent to its receiver') };
  const incomplete = heard.find((one) => missing(one) !== undefined);
  if (incomplete === undefined) return { state: 'right', text: id };
  // Of what its receiver itself lost nobody can tell whether it was right.
  const byReceiver = incomplete.missing_at_interface <= 0;
  return { state: byReceiver ? 'unknown' : 'wrong', text: say(missing(incomplete) ?? '') };
}

/** One that is wrong decides, whatever is known of the others. */
function verdictOf(found: readonly Finding[], figures: Readonly<Record<'right' | 'wrong', string>>): Judgement {
  const why = (of: readonly Finding[]): string => of.map(({ text }) => text).join('; ');
  const unknown = found.filter(({ state }) => state === 'unknown');
  if (found.some(({ state }) => state === 'wrong')) return { verdict: 'FAILS', figure: figures.wrong, why: why(found) };
  if (unknown.length > 0) return { verdict: 'NOT MEASURED', figure: null, why: why(unknown) };
  return { verdict: 'HOLDS', figure: figures.right, why: why(found) };
}
