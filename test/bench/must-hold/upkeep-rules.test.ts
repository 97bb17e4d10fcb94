import { expect, test } from 'vitest';
import { caseOf, upkeepResult, wantedStream } from './examples.ts';
import { requirementOf } from './requirement-of.ts';

test('unmatched packets are judged only if there were enough, and if the wanted ones arrived', () => {
  const of = (details: Parameters<typeof upkeepResult>[0]) =>
    requirementOf('unmatched', caseOf('unmatched', upkeepResult({ cpu_share: 0.01, unmatched_pps: 3e5, ...details })));
  expect(of({ wanted: wantedStream({ received: 199 }) })).toMatchObject({
    verdict: 'FAILS',
    why: 'unmatched: 199 of 200 wanted packets arrived',
  });
  expect(of({})).toMatchObject({ verdict: 'FAILS' });
  for (const what of ['duplicates', 'reordered', 'corrupt']) {
    expect(of({ wanted: wantedStream({ [what]: 2 }) })).toMatchObject({
      verdict: 'FAILS',
      why: `unmatched: of what was wanted 2 ${what}`,
    });
  }
  const wanted = wantedStream();
  expect(of({ wanted, unmatched_pps: 200_000 })).toMatchObject({ verdict: 'NOT MEASURED' });
  expect(of({ wanted, cpu_share: 0.02 })).toMatchObject({ verdict: 'FAILS' });
  expect(of({ wanted })).toMatchObject({ verdict: 'HOLDS', figure: '1.00 %' });
});

test('idle is judged after ten seconds only', () => {
  const of = (cpu_share: number, seconds: number) =>
    requirementOf('idle', caseOf('idle', upkeepResult({ cpu_share, seconds })));
  expect(of(0, 2)).toMatchObject({ verdict: 'NOT MEASURED' });
  expect(of(0.001, 10)).toMatchObject({ verdict: 'FAILS', figure: '0.100 %' });
  expect(of(0, 10.1)).toMatchObject({ verdict: 'HOLDS' });
});
