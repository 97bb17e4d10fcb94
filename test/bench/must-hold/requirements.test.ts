import { expect, test } from 'vitest';
import { benchCases } from '../cases.ts';
import type { CaseReport } from '../results.ts';
import { caseOf, latencyResult, outputFailureResult, rates, upkeepResult, wantedStream } from './examples.ts';
import { judge } from './requirements.ts';

/** A run in which everything is just as good as it must be. */
function goodRun(): CaseReport[] {
  const latencies = (p50: number, p99: number) =>
    caseOf(
      `latency`,
      latencyResult({ p50_us: p50, p99_us: p99 }),
      latencyResult({ engine: 'socat', p50_us: p50, p99_us: p99 }),
      latencyResult({ engine: 'kernel-mfc', p50_us: 4.5 }),
    );
  return [
    rates('1to1', { mcfleet: 700_000, 'socat-tuned': 140_000, 'kernel-mfc': 437_500 }),
    rates('spin-200', { mcfleet: 1 }),
    rates('1to1-exclusive', { mcfleet: 1 }),
    rates('1to1-exclusive-spin', { mcfleet: 1 }),
    rates('10000-relays', { mcfleet: 665_000 }),
    rates('1to8', { mcfleet: 625_000 }, 8),
    rates('1to8-spin', { mcfleet: 1 }, 8),
    rates('1to8-exclusive', { mcfleet: 1 }, 8),
    rates('1to8-exclusive-spin', { mcfleet: 1 }, 8),
    rates('1to8-no-uso-spin', { mcfleet: 1 }, 8),
    rates('1to32-spin', { mcfleet: 1 }, 32),
    rates('1to32-exclusive-spin', { mcfleet: 1 }, 32),
    rates('super-1to1-spin', { mcfleet: 1 }),
    rates('1to8-no-uso', { mcfleet: 150_000 }, 8),
    rates('1to32', { mcfleet: 250_000 }, 32),
    rates('super-1to1-exclusive', { mcfleet: 1 }),
    rates('super-1to1', { mcfleet: 5_000_000 }),
    rates('super-48', { mcfleet: 5_000_000 }),
    rates('super-48-spin', { mcfleet: 1 }),
    rates('super-48-exclusive', { mcfleet: 1 }),
    rates('super-1to8', { mcfleet: 1 }, 8),
    { ...latencies(20, 40), id: 'latency-10k' },
    { ...latencies(20, 40), id: 'latency-50k' },
    caseOf('latency-10k-spin', latencyResult({ p50_us: 5.5 })),
    caseOf('latency-50k-spin', latencyResult({ p50_us: 5.5 })),
    caseOf('idle', upkeepResult({ cpu_share: 0, seconds: 10, resident_bytes: 198e6, ring_bytes: 79e6 })),
    caseOf('unmatched', upkeepResult({ cpu_share: 0.019, unmatched_pps: 300_000, wanted: wantedStream() })),
    caseOf(
      'idle-10000',
      upkeepResult({ apply_ms: 999, change_ms: { median: 4.99, most: 20 }, resident_bytes: 299e6, ring_bytes: 79e6 }),
    ),
    caseOf('outputs-fail', outputFailureResult()),
  ];
}

test('everything holds at its bound', () => {
  const judged = judge(goodRun());
  expect(judged.filter(({ verdict }) => verdict !== 'HOLDS')).toEqual([]);
  expect(judged.filter(({ counts }) => counts)).toHaveLength(26);
  expect(judged.filter(({ counts }) => !counts).map(({ id }) => id)).toEqual([
    '1to1-default-rate',
    '1to1-default-to-socat',
    '1to1-default-to-kernel-mfc',
    '1to8-default-rate',
    '1to8-software-default-rate',
    '1to32-default-rate',
    'super-default-rate',
    'super-20-rate',
    'super-20-default-rate',
  ]);
  expect(new Set(judged.map(({ id }) => id)).size).toBe(35);
});

test('a little less, and each line fails: none of them holds whatever was measured', () => {
  const worse = goodRun().map((one) => ({
    ...one,
    results: one.results.map((result) => {
      const own = result.engine === 'mcfleet';
      switch (result.kind) {
        case 'throughput': {
          // The rate of one relay is what that of 10,000 is compared with.
          const part = one.id === '10000-relays' ? 0.98 : 0.99;
          const lost = one.id === 'super-1to8' ? 1 : 0;
          const checked = { ...result.checked, received: 1_000 - lost, lost, missing_at_interface: lost };
          return own ? { ...result, in_pps: result.in_pps * part, out_pps: result.out_pps * part, checked } : result;
        }
        case 'latency':
          return own ? latencyResult({ ...result, p50_us: result.p50_us + 0.1, p99_us: result.p99_us + 0.1 }) : result;
        case 'upkeep': {
          const change_ms = result.change_ms === null ? null : { median: 5, most: 20 };
          const slower = { change_ms, apply_ms: 1_000, cpu_share: result.cpu_share + 0.01 };
          return { ...result, ...slower, resident_bytes: result.resident_bytes + 2e6 };
        }
        case 'output-failure':
          return { ...result, failures: result.failures.map((how) => ({ ...how, arrived: how.expected - 1 })) };
        default:
          return result;
      }
    }),
  }));
  expect(judge(worse).filter(({ verdict }) => verdict !== 'FAILS')).toEqual([]);
});

test('without a case nothing is judged, and it says which', () => {
  const judged = judge([]);
  expect(judged.every(({ verdict, figure }) => verdict === 'NOT MEASURED' && figure === null)).toBe(true);
  for (const { why } of judged) {
    expect(benchCases.some(({ id }) => why.includes(id))).toBe(true);
  }
});

test('every case that is judged is one that the bench has, with the relays that it is compared with', () => {
  // Named by the judge where the bench does not have it.
  const cases = benchCases.map(({ id, title, engines }) => ({
    id,
    title,
    results: engines.map((engine) => ({ kind: 'not-available' as const, engine, reason: 'not today' })),
  }));
  for (const { why, needs } of judge(cases)) {
    expect(needs.filter((id) => !benchCases.some((one) => one.id === id))).toEqual([]);
    expect(why).toMatch(/not today/);
    expect(why).not.toMatch(/not asked for|has no/);
  }
});

test('with --quick every line that counts can be judged', () => {
  const quick = goodRun().map((one) => {
    const measured = benchCases.find(({ id }) => id === one.id)?.quick ?? [];
    return { ...one, results: one.results.filter(({ engine }) => measured.includes(engine)) };
  });
  expect(judge(quick).filter(({ counts, verdict }) => counts && verdict !== 'HOLDS')).toEqual([]);
});
