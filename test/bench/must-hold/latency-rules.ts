import { damageList } from '../damage.ts';
import type { EngineName } from '../engine.ts';
import { LEAST_DIVISOR_US } from '../latency-added.ts';
import { type Evidence, type Found, resultOf } from './evidence.ts';
import { type Judgement, ratioAtMost } from './judge.ts';
import { figure, pps, type Rule } from './rule.ts';

/** What relays add to the time that packets take. */
export const latencyRules: readonly Rule[] = [10, 50].flatMap((thousands): Rule[] => {
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
        damageOf(ours) ??
        damageOf(theirs) ??
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

/** What came twice, late or damaged was not sent so: its time is none of a relay's. */
function damageOf(result: Found<'latency'>): Judgement | undefined {
  const wrong = result.kind === 'none' ? [] : damageList(result);
  if (result.kind === 'none' || wrong.length === 0) return undefined;
  const why = `${result.engine} at ${pps(result.rate)}: ${wrong.join(', ')} of ${result.sent}`;
  return { verdict: 'NOT MEASURED', figure: null, why };
}

function addedBy(result: Found<'latency'>, of: 'p50_us' | 'p99_us', alsoForeignCores = 0): Evidence {
  if (result.kind === 'none') return result;
  const { engine, without_relay: without, added, lost, sent, foreign_cores: foreignCores } = result;
  const missing = lost === 0 ? '' : `, ${lost} of ${sent} lost`;
  const from = `${engine} (${result[of]} us in all, ${without[of]} without a relay${missing})`;
  return figure(added[of], from, Math.max(foreignCores, alsoForeignCores));
}
