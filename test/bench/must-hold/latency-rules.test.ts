import { expect, test } from 'vitest';
import { caseOf, latencyResult } from './examples.ts';
import { requirementOf } from './requirement-of.ts';

test('latency is judged by what is added to the path without a relay, and by nothing that is too little to divide by', () => {
  const spinning = (own: number, mfc: number, path = 2.5, foreignCores = 0) => {
    const without_relay = { p50_us: path, p99_us: 5, p999_us: 9, foreign_cores: foreignCores };
    return requirementOf(
      'latency-10k-spin-p50',
      caseOf('latency-10k-spin', latencyResult({ p50_us: own, without_relay })),
      caseOf('latency-10k', latencyResult({ engine: 'kernel-mfc', p50_us: mfc, without_relay })),
    );
  };
  // 6 / 4.5 in all would be within the bound.
  expect(spinning(6, 4.5)).toMatchObject({
    verdict: 'FAILS',
    figure: '1.75',
    why: '3.5 us by mcfleet (6 us in all, 2.5 without a relay) / 2 us by kernel-mfc (4.5 us in all, 2.5 without a relay)',
  });
  expect(spinning(5.5, 4.5)).toMatchObject({ verdict: 'HOLDS', figure: '1.50' });
  expect(spinning(2.4, 4.5)).toMatchObject({ verdict: 'HOLDS', figure: '-0.05' });
  expect(spinning(5, 2.9)).toMatchObject({ verdict: 'NOT MEASURED', why: expect.stringContaining('too little') });
  expect(spinning(3, 2)).toMatchObject({ verdict: 'NOT MEASURED', figure: null });
  // While others use the machine the path seems slower, for which a line may fail, but not hold.
  expect(spinning(6, 4.5, 2.5, 1)).toMatchObject({ verdict: 'NOT MEASURED', figure: '1.75' });
  expect(spinning(5.5, 4.5, 2.5, 1)).toMatchObject({ verdict: 'HOLDS' });
});

test('what others disturbed is judged only where the disturbance makes no difference', () => {
  const latency = (own: number, ownLoad: number, otherLoad: number) =>
    requirementOf(
      'latency-10k-p50',
      caseOf(
        'latency-10k',
        latencyResult({ p50_us: own, foreign_cores: ownLoad }),
        latencyResult({ engine: 'socat', p50_us: 20, foreign_cores: otherLoad }),
      ),
    ).verdict;
  expect([latency(10, 1, 0), latency(30, 0, 1), latency(10, 0, 1), latency(30, 1, 0)]).toEqual([
    'HOLDS',
    'FAILS',
    'NOT MEASURED',
    'NOT MEASURED',
  ]);
});

test('what mcfleet loses while its latency is measured makes it fail', () => {
  const of = (details: Parameters<typeof latencyResult>[0], peer: Parameters<typeof latencyResult>[0] = {}) =>
    ['latency-10k-p50', 'latency-10k-p99', 'latency-10k-spin-p50'].map((id) =>
      requirementOf(
        id,
        caseOf('latency-10k-spin', latencyResult({ p50_us: 3, ...details })),
        caseOf(
          'latency-10k',
          latencyResult({ p50_us: 3, ...details }),
          latencyResult({ engine: 'socat', ...peer }),
          latencyResult({ engine: 'kernel-mfc', ...peer }),
        ),
      ),
    );
  for (const line of of({})) expect(line.verdict).toBe('HOLDS');
  for (const line of of({ lost: 3, foreign_cores: 1 })) {
    expect(line).toMatchObject({
      verdict: 'FAILS',
      figure: '3 lost',
      why: 'mcfleet at 10,000 pps: 3 of 12000 lost',
    });
  }
  for (const line of of({ lost: 3, receiver_drops: 3 })) expect(line.verdict).toBe('NOT MEASURED');
  for (const line of of({}, { lost: 7 })) {
    expect(line).toMatchObject({ verdict: 'HOLDS', why: expect.stringContaining('7 of 12000 lost') });
  }
});

test('a latency of packets that came twice, late or damaged is none, whosever it is', () => {
  const lines = ['latency-10k-p50', 'latency-10k-p99', 'latency-10k-spin-p50'];
  const of = (own: Parameters<typeof latencyResult>[0], peer: Parameters<typeof latencyResult>[0] = {}) =>
    lines.map((id) =>
      requirementOf(
        id,
        caseOf('latency-10k-spin', latencyResult({ p50_us: 3, ...own })),
        caseOf(
          'latency-10k',
          latencyResult({ p50_us: 3, ...own }),
          latencyResult({ engine: 'socat', ...peer }),
          latencyResult({ engine: 'kernel-mfc', ...peer }),
        ),
      ),
    );
  for (const wrong of [{ duplicates: 2 }, { reordered: 2 }, { corrupt: 2 }]) {
    const [what] = Object.keys(wrong);
    for (const line of of(wrong)) {
      expect(line).toMatchObject({ verdict: 'NOT MEASURED', figure: null });
      expect(line.why).toBe(`mcfleet at 10,000 pps: 2 ${what} of 12000`);
    }
    for (const line of of({}, wrong)) {
      expect(line).toMatchObject({
        verdict: 'NOT MEASURED',
        why: expect.stringMatching(`^(socat|kernel-mfc) at .* 2 ${what} `),
      });
    }
  }
  // What is lost as well decides.
  for (const line of of({ lost: 3, duplicates: 2 })) expect(line.verdict).toBe('FAILS');
});
