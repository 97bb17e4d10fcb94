import type { EngineName } from '../engine.ts';
import { bestRate, type Evidence, resultOf } from './evidence.ts';
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

/** Cases that differ only in how the relay is set: the best counts, for each of them is a way to use it. */
const SINGLE = ['1to1', 'spin-200'];

const EXCLUSIVE = ['1to1-exclusive'];
const SUPER_EXCLUSIVE = ['super-1to1-exclusive'];

const throughputRules: readonly Rule[] = [
  rate('1to1-rate', '1 -> 1, 1316 B, single packets arriving, without loss', SINGLE, 'in_pps', 700_000),
  ratio('1to1-to-socat', 'the same, compared with tuned socat', SINGLE, ['1to1', 'socat-tuned'], 5),
  ratio('1to1-to-kernel-mfc', 'the same, compared with the kernel MFC', SINGLE, ['1to1', 'kernel-mfc'], 1.6),
  beside(rate('1to1-exclusive-rate', '1 -> 1, 1316 B, exclusive input', EXCLUSIVE, 'in_pps', 700_000)),
  beside(
    ratio('1to1-exclusive-to-socat', 'the same, compared with tuned socat', EXCLUSIVE, ['1to1', 'socat-tuned'], 5),
  ),
  rate('1to8-rate', '1 -> 8, packets out, the device segments', ['1to8', '1to8-spin'], 'out_pps', 5_000_000),
  beside(rate('1to8-exclusive-rate', '1 -> 8, packets out, exclusive input', ['1to8-exclusive'], 'out_pps', 5_000_000)),
  rate(
    '1to8-software-rate',
    '1 -> 8, packets out, the kernel segments',
    ['1to8-no-uso', '1to8-no-uso-spin'],
    'out_pps',
    1_200_000,
  ),
  rate('1to32-rate', '1 -> 32, packets out', ['1to32', '1to32-spin'], 'out_pps', 8_000_000),
  rate('super-rate', '1 -> 1, super-frames arriving', ['super-1to1', 'super-1to1-spin'], 'in_pps', 5_000_000),
  beside(
    rate(
      'super-exclusive-rate',
      '1 -> 1, super-frames arriving, exclusive input',
      SUPER_EXCLUSIVE,
      'in_pps',
      5_000_000,
    ),
  ),
  {
    id: 'super-boundaries',
    what: 'super-frames arriving: datagrams of a plain UDP receiver that are as they were sent',
    bound: 'all',
    needs: ['super-1to1', 'super-1to8'],
    judge: (cases) => boundaries(cases, ['super-1to1', 'super-1to8']),
  },
];

const latencyRules: readonly Rule[] = [10, 50].flatMap((thousands): Rule[] => {
  const at = `at ${thousands},000 pps`;
  const plain = `latency-${thousands}k`;
  return [
    latency(`${plain}-spin-p50`, `latency p50 ${at}, spinning, compared with the kernel MFC`, {
      own: `${plain}-spin`,
      other: [plain, 'kernel-mfc'],
      of: 'p50_us',
      most: 1.5,
    }),
    ...(['p50_us', 'p99_us'] as const).map((of) => {
      const name = of.slice(0, 3);
      return latency(`${plain}-${name}`, `latency ${name} ${at}, not spinning, compared with socat`, {
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
  return [...throughputRules, ...latencyRules, ...upkeepRules, ...failureRules].map(
    ({ id, what, bound, needs, counts = true, judge: rule }) => ({ id, what, bound, needs, counts, ...rule(cases) }),
  );
}

/** Shows a line for comparison: it asks something of the host that not everybody can give. */
function beside(rule: Rule): Rule {
  return { ...rule, what: `${rule.what} (for comparison)`, counts: false };
}

function rate(id: string, what: string, ids: readonly string[], of: 'in_pps' | 'out_pps', bound: number): Rule {
  return {
    id,
    what,
    bound: `>= ${pps(bound)}`,
    needs: ids,
    judge: (cases) => atLeast(bestRate(cases, ids, 'mcfleet', of), bound, pps),
  };
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
  const evidence = (cases: Cases, name: string, engine: EngineName): Evidence => {
    const result = resultOf(cases, name, engine, 'latency');
    if (result.kind === 'none') return result;
    const lost = result.lost === 0 ? '' : `, ${result.lost} lost`;
    const from = `${engine} (${result.without_relay[of]} us without a relay${lost})`;
    return figure(result[of], from, result.foreign_cores);
  };
  return {
    id,
    what,
    bound: `<= ${most}`,
    needs: [own, otherCase],
    judge: (cases) => ratioAtMost(evidence(cases, own, 'mcfleet'), evidence(cases, otherCase, otherEngine), most, 'us'),
  };
}

function boundaries(cases: Cases, ids: readonly string[]): Judgement {
  const heard = ids.map((id) => ({ id, result: resultOf(cases, id, 'mcfleet', 'throughput') }));
  const seen: string[] = [];
  let intact = true;
  for (const { id, result } of heard) {
    if (result.kind === 'none') return { verdict: 'NOT MEASURED', figure: null, why: result.why };
    const { received, sent, duplicates, corrupt, reordered, receiverDrops } = result.checked;
    if (receiverDrops > 0) {
      return { verdict: 'NOT MEASURED', figure: null, why: `${id}: the receiver itself lost ${receiverDrops}` };
    }
    intact &&= received === sent && duplicates + corrupt + reordered === 0;
    seen.push(`${id} ${received} of ${sent}, ${duplicates} twice, ${reordered} late, ${corrupt} corrupt`);
  }
  return { verdict: intact ? 'HOLDS' : 'FAILS', figure: intact ? 'all' : 'not all', why: seen.join('; ') };
}
