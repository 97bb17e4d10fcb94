import { damageList } from '../damage.ts';
import type { UpkeepResult } from '../results.ts';
import { type Evidence, resultOf } from './evidence.ts';
import { below, type Judgement } from './judge.ts';
import { figure, megabytes, ms, percent, pps, type Rule, ratio } from './rule.ts';

/** What rounds to 0.0 % in the run of ten seconds that this is about. */
const IDLE = { below: 0.0005, seconds: 10 };
const MEMORY_BYTES = 120_000_000;
const MANY = { measuredBy: 'idle-10000', memoryBytes: 300_000_000, applyMs: 1_000, changeMs: 5 };

/** What a relay uses while it relays little, and with many relays. */
export const upkeepRules: readonly Rule[] = [
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
      const wrong = damageList(wanted);
      if (wrong.length > 0) {
        return {
          verdict: 'FAILS',
          figure: percent(2)(cpu_share),
          why: `unmatched: of what was wanted ${wrong.join(', ')}`,
        };
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
      const from = `idle: ${megabytes(resident)} resident, ${megabytes(rings)} of it rings`;
      return below(figure(resident - rings, from, 0), MEMORY_BYTES, megabytes);
    },
  ),
  upkeep(
    {
      id: '10000-apply',
      what: '10,000 relays: from the request to the packet path using them',
      bound: '< 1 s',
      measuredBy: MANY.measuredBy,
    },
    ({ apply_ms, foreign_cores }) => below(milliseconds(apply_ms, foreign_cores), MANY.applyMs, ms),
  ),
  upkeep(
    {
      id: '10000-change',
      what: 'the same for a change of one among them, median',
      bound: '< 5 ms',
      measuredBy: MANY.measuredBy,
    },
    ({ change_ms, foreign_cores }) => {
      const most = change_ms === null ? '' : `, most ${ms(change_ms.most)}`;
      return below(milliseconds(change_ms?.median ?? null, foreign_cores, most), MANY.changeMs, ms);
    },
  ),
  upkeep(
    {
      id: '10000-memory',
      what: 'resident memory with 10,000 relays on one input, receive rings included',
      bound: '< 300 MB',
      measuredBy: MANY.measuredBy,
    },
    ({ resident_bytes: resident }) => below(figure(resident, MANY.measuredBy, 0), MANY.memoryBytes, megabytes),
  ),
];

function milliseconds(value: number | null, foreignCores: number, more = ''): Evidence {
  if (value === null) return { kind: 'none', why: `${MANY.measuredBy}: this was not timed` };
  return figure(value, `${MANY.measuredBy}${more}`, foreignCores);
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
