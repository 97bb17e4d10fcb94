import { damageList } from './damage.ts';
import type { EngineName } from './engine.ts';
import { LEAST_DIVISOR_US } from './latency-added.ts';
import type { LatencyResult, Result } from './results.ts';
import { threeDigits } from './statistics.ts';

/** Adds to every result of a case how it compares with the others of that case. */
export function withRatios(results: readonly Result[]): Result[] {
  return results.map((result) => {
    if (result.kind === 'throughput') {
      return { ...result, ratio: ratios(result, results, (other) => other.kind === 'throughput' && other.out_pps) };
    }
    if (result.kind === 'latency') {
      const to = (figureOf: (other: LatencyResult) => number, leastDivisor?: number) =>
        ratios(result, results, (other) => other.kind === 'latency' && isWhole(other) && figureOf(other), leastDivisor);
      return {
        ...result,
        ratio_p50: to((other) => other.p50_us),
        ratio_p99: to((other) => other.p99_us),
        ratio_added_p50: to((other) => other.added.p50_us, LEAST_DIVISOR_US),
        ratio_added_p99: to((other) => other.added.p99_us, LEAST_DIVISOR_US),
      };
    }
    return result;
  });
}

/** Whether every packet came once, in order, and as it was sent. */
function isWhole(result: LatencyResult): boolean {
  return damageList(result).length === 0;
}

function ratios(
  result: Result,
  all: readonly Result[],
  figureOf: (result: Result) => number | false,
  leastDivisor = Number.MIN_VALUE,
): Partial<Record<EngineName, number>> {
  const own = figureOf(result);
  const found: Partial<Record<EngineName, number>> = {};
  for (const other of all) {
    const value = figureOf(other);
    if (other.engine !== result.engine && own !== false && value !== false && value >= leastDivisor) {
      found[other.engine] = threeDigits(own / value);
    }
  }
  return found;
}
