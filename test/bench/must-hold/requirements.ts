import type { EngineName } from '../engine.ts';
import { LEAST_DIVISOR_US } from '../latency-added.ts';
import { contentRules } from './content-rules.ts';
import { bestRate, type Evidence, type Found, resultOf } from './evidence.ts';
import { atLeast, type Judgement, ratioAtMost } from './judge.ts';
import { type Cases, figure, pps, type Rule, ratio } from './rule.ts';
import { failureRules, upkeepRules } from './upkeep-rules.ts';

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

/**
 * Cases that differ only in how the relay is set, the default setting first. All of these settings are documented ways to use it
 * (`--busy-poll-us`, `--exclusive-input` for a host that only relays), so the best of them is what is judged.
 */
type Settings = readonly [plain: string, ...others: string[]];

const SINGLE: Settings = ['1to1', 'spin-200', '1to1-exclusive', '1to1-exclusive-spin'];
const EIGHT: Settings = ['1to8', '1to8-spin', '1to8-exclusive', '1to8-exclusive-spin'];
const EIGHT_CUT_BY_KERNEL: Settings = ['1to8-no-uso', '1to8-no-uso-spin'];
const THIRTY_TWO: Settings = ['1to32', '1to32-spin', '1to32-exclusive-spin'];
const SUPER: Settings = ['super-48', 'super-48-spin', 'super-48-exclusive'];
const SHORTER_SUPER: Settings = ['super-1to1', 'super-1to1-spin', 'super-1to1-exclusive'];

const throughputRules: readonly Rule[] = [
  ...rate('1to1', '1 -> 1, 1316 B, single packets arriving, without loss', SINGLE, 'in_pps', 700_000),
  ...bestAndDefault(SINGLE, '1to1', '-to-socat', (id, ids) =>
    ratio(id, '1 -> 1, compared with tuned socat', ids, ['1to1', 'socat-tuned'], 5),
  ),
  ...bestAndDefault(SINGLE, '1to1', '-to-kernel-mfc', (id, ids) =>
    ratio(id, '1 -> 1, compared with the kernel MFC', ids, ['1to1', 'kernel-mfc'], 1.6),
  ),
  ...rate('1to8', '1 -> 8, packets out, the device segments', EIGHT, 'out_pps', 5_000_000),
  ...rate('1to8-software', '1 -> 8, packets out, the kernel segments', EIGHT_CUT_BY_KERNEL, 'out_pps', 1_200_000),
  ...rate('1to32', '1 -> 32, packets out', THIRTY_TWO, 'out_pps', 8_000_000),
  ...rate('super', '1 -> 1, super-frames of 48 arriving', SUPER, 'in_pps', 5_000_000),
  // The sender does little more with these: what it says of the relay is that it is not less.
  ...rate('super-20', '1 -> 1, super-frames of 20 arriving', SHORTER_SUPER, 'in_pps', 5_000_000).map(forComparison),
];

const latencyRules: readonly Rule[] = [10, 50].flatMap((thousands): Rule[] => {
  const at = `at ${thousands},000 pps`;
  const plain = `latency-${thousands}k`;
  return [
    latency(`${plain}-spin-p50`, `latency added, p50 ${at}, spinning, compared with the kernel MFC`, {
      own: `${plain}-spin`,
      other: [plain, 'kernel-mfc'],
      of: 'p50_us',
      most: 1.5,
    }),
    ...(['p50_us', 'p99_us'] as const).map((of) => {
      const name = of.slice(0, 3);
      return latency(`${plain}-${name}`, `latency added, ${name} ${at}, not spinning, compared with socat`, {
        own: plain,
        other: [plain, 'socat'],
        of,
        most: 1,
      });
    }),
  ];
});

/** Judges a run, by what must hold. */
export function judge(cases: Cases): Requirement[] {
  return [...throughputRules, ...contentRules, ...latencyRules, ...upkeepRules, ...failureRules].map(
    ({ id, what, bound, needs, counts = true, judge: rule }) => ({ id, what, bound, needs, counts, ...rule(cases) }),
  );
}

/** Shows a line beside those that count. */
function forComparison(rule: Rule): Rule {
  return rule.counts === false ? rule : { ...rule, what: `${rule.what} (for comparison)`, counts: false };
}

/** A line that counts, judged by the best of the settings, and beside it for comparison what the default setting reaches of the same. */
function bestAndDefault(
  settings: Settings,
  id: string,
  suffix: string,
  rule: (id: string, ids: readonly string[]) => Rule,
): readonly Rule[] {
  const plain = rule(`${id}-default${suffix}`, [settings[0]]);
  return [rule(`${id}${suffix}`, settings), forComparison({ ...plain, what: `${plain.what}: the default setting` })];
}

function rate(
  name: string,
  what: string,
  settings: Settings,
  of: 'in_pps' | 'out_pps',
  bound: number,
): readonly Rule[] {
  return bestAndDefault(settings, name, '-rate', (id, ids) => ({
    id,
    what,
    bound: `>= ${pps(bound)}`,
    needs: ids,
    judge: (cases) => atLeast(bestRate(cases, ids, 'mcfleet', of), bound, pps),
  }));
}

interface LatencyComparison {
  readonly own: string;
  readonly other: readonly [string, EngineName];
  readonly of: 'p50_us' | 'p99_us';
  readonly most: number;
}

function latency(
  id: string,
  what: string,
  { own, other: [otherCase, otherEngine], of, most }: LatencyComparison,
): Rule {
  return {
    id,
    what,
    bound: `<= ${most}`,
    needs: [own, otherCase],
    judge: (cases) => {
      const ours = resultOf(cases, own, 'mcfleet', 'latency');
      const theirs = resultOf(cases, otherCase, otherEngine, 'latency');
      // Others make the path without a relay seem slower. What holds all the same would hold without them too, with a bound of 1 or more
      // (addedLatency); what fails may fail for that.
      const path = ours.kind === 'none' ? 0 : ours.without_relay.foreign_cores;
      return (
        lossOf(ours) ??
        ratioAtMost(addedBy(ours, of, path), addedBy(theirs, of), {
          bound: most,
          unit: 'us',
          leastDivisor: LEAST_DIVISOR_US,
        })
      );
    },
  };
}

/**
 * A relay is not fast that loses the packets which had to wait, whoever used the machine meanwhile: at these rates its ring holds what comes in
 * half a second and more.
 */
function lossOf(own: Found<'latency'>): Judgement | undefined {
  if (own.kind === 'none' || own.lost === 0) return undefined;
  const { engine, rate, lost, sent, receiver_drops: drops } = own;
  const why = `${engine} at ${pps(rate)}: ${lost} of ${sent} lost`;
  if (lost > drops) return { verdict: 'FAILS', figure: `${lost} lost`, why };
  return { verdict: 'NOT MEASURED', figure: null, why: `${why}, by the receiver itself` };
}

function addedBy(result: Found<'latency'>, of: 'p50_us' | 'p99_us', alsoForeignCores = 0): Evidence {
  if (result.kind === 'none') return result;
  const { engine, without_relay: without, added, lost, sent, foreign_cores: foreignCores } = result;
  const missing = lost === 0 ? '' : `, ${lost} of ${sent} lost`;
  const from = `${engine} (${result[of]} us in all, ${without[of]} without a relay${missing})`;
  return figure(added[of], from, Math.max(foreignCores, alsoForeignCores));
}
