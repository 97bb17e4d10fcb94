import type { EngineName } from '../engine.ts';
import { DISTURBING } from '../foreign-load.ts';
import type { CaseReport, OutputFailure, UpkeepResult } from '../results.ts';
import { bestRate, type Evidence, resultOf } from './evidence.ts';
import { atLeast, below, type Judgement, ratioAtLeast, ratioAtMost } from './judge.ts';

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
}

type Cases = readonly CaseReport[];

/** A rule: what must hold, and how to judge it from the cases of a run. */
interface Rule {
  readonly id: string;
  readonly what: string;
  readonly bound: string;
  readonly needs: readonly string[];
  readonly judge: (cases: Cases) => Judgement;
}

/** Cases that differ only in how the relay is set: the best counts, for each of them is a way to use it. */
const SINGLE = ['1to1', 'spin-200'];

const pps = (value: number): string => `${Math.round(value).toLocaleString('en-US')} pps`;
const percent = (digits: number) => (value: number) => `${(value * 100).toFixed(digits)} %`;

const throughputRules: readonly Rule[] = [
  rate('1to1-rate', '1 -> 1, 1316 B, single packets arriving, without loss', SINGLE, 'in_pps', 700_000),
  ratio('1to1-to-socat', 'the same, compared with tuned socat', SINGLE, ['1to1', 'socat-tuned'], 5),
  ratio('1to1-to-kernel-mfc', 'the same, compared with the kernel MFC', SINGLE, ['1to1', 'kernel-mfc'], 1.6),
  rate('1to8-rate', '1 -> 8, packets out, the device segments', ['1to8', '1to8-spin'], 'out_pps', 5_000_000),
  rate(
    '1to8-software-rate',
    '1 -> 8, packets out, the kernel segments',
    ['1to8-no-uso', '1to8-no-uso-spin'],
    'out_pps',
    1_200_000,
  ),
  rate('1to32-rate', '1 -> 32, packets out', ['1to32', '1to32-spin'], 'out_pps', 8_000_000),
  rate('super-rate', '1 -> 1, super-frames arriving', ['super-1to1', 'super-1to1-spin'], 'in_pps', 5_000_000),
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

/** What rounds to 0.0 % in the run of ten seconds that this is about. */
const IDLE = { below: 0.0005, seconds: 10 };
const MEMORY_BYTES = 120_000_000;

const upkeepRules: readonly Rule[] = [
  ratio('10000-relays', '10,000 relays, compared with the rate of one', ['10000-relays'], ['1to1', 'mcfleet'], 0.95),
  upkeep(
    {
      id: 'unmatched',
      what: '300,000 pps that no relay wants: processor time of the relay, which delivers what is wanted beside them',
      bound: '< 2 % of a core',
      measuredBy: 'unmatched',
    },
    ({ wanted, unmatched_pps: unmatched, cpu_share, foreign_cores }) => {
      if (wanted === null || wanted.received < wanted.sent) {
        const why = `unmatched: ${wanted?.received ?? 0} of ${wanted?.sent ?? 0} wanted packets arrived`;
        return { verdict: 'FAILS', figure: percent(2)(cpu_share), why };
      }
      if (unmatched < 290_000) {
        return below({ kind: 'none', why: `unmatched: the sender did ${pps(unmatched)} only` }, 0, String);
      }
      const from = `unmatched, beside ${wanted.rate} pps that were wanted`;
      return below(figure(cpu_share, from, foreign_cores), 0.02, percent(2));
    },
  ),
  upkeep(
    { id: 'idle', what: 'idle: processor time over ten seconds', bound: '0 % of a core', measuredBy: 'idle' },
    ({ seconds, cpu_share }) => {
      if (seconds < IDLE.seconds) {
        return below({ kind: 'none', why: `idle: looked at for ${seconds} s only` }, 0, String);
      }
      return below(figure(cpu_share, `idle, ${seconds} s`, 0), IDLE.below, percent(3));
    },
  ),
  upkeep(
    {
      id: 'memory',
      what: 'resident memory with one relay, without the receive rings, which are stated apart',
      bound: '< 120 MB',
      measuredBy: 'idle',
    },
    ({ resident_bytes: resident, ring_bytes: rings }) => {
      const mb = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
      const from = `idle: ${mb(resident)} resident, ${mb(rings)} of it rings`;
      return below(figure(resident - rings, from, 0), MEMORY_BYTES, mb);
    },
  ),
];

const failureRules: readonly Rule[] = (
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

/** Judges a run, by what must hold. */
export function judge(cases: Cases): Requirement[] {
  return [...throughputRules, ...latencyRules, ...upkeepRules, ...failureRules].map(
    ({ id, what, bound, needs, judge: rule }) => ({ id, what, bound, needs, ...rule(cases) }),
  );
}

function figure(value: number, from: string, foreignCores: number): Evidence {
  return { kind: 'figure', value, from, disturbed: foreignCores >= DISTURBING };
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

function ratio(
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

/** A rule about what the relay takes of the host, judged by one case if that was measured. */
function upkeep(
  { measuredBy, ...rule }: Omit<Rule, 'needs' | 'judge'> & { readonly measuredBy: string },
  judgeResult: (result: UpkeepResult) => Judgement,
): Rule {
  return {
    ...rule,
    needs: [measuredBy],
    judge: (cases) => {
      const result = resultOf(cases, measuredBy, 'mcfleet', 'upkeep');
      return result.kind === 'none' ? below(result, 0, String) : judgeResult(result);
    },
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

function failure(cases: Cases, how: OutputFailure['how']): Judgement {
  const result = resultOf(cases, 'outputs-fail', 'mcfleet', 'output-failure');
  if (result.kind === 'none') return { verdict: 'NOT MEASURED', figure: null, why: result.why };
  const found = result.failures.find((one) => one.how === how);
  if (found === undefined)
    return { verdict: 'NOT MEASURED', figure: null, why: 'outputs-fail: it did not come to that' };
  const lost = found.expected - found.arrived;
  const why = `outputs-fail: ${found.others} others, ${found.sent} packets each at ${pps(result.rate)}`;
  return { verdict: lost === 0 ? 'HOLDS' : 'FAILS', figure: lost.toLocaleString('en-US'), why };
}
