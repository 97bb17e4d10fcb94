import { expect, test } from 'vitest';
import { caseOf, outputFailureResult } from './examples.ts';
import { requirementOf } from './requirement-of.ts';

test('other outputs are judged only if one failed while packets came', () => {
  const of = (how: string, details: { arrived_before?: number; arrived_after?: number; arrived?: number }) => {
    const { failures } = outputFailureResult();
    const changed = failures.map((one) => (one.how === how ? { ...one, ...details } : one));
    return requirementOf(`output-${how}`, caseOf('outputs-fail', outputFailureResult({ failures: changed })));
  };
  for (const how of ['deleted', 'down', 'stripped', 'full']) {
    expect(of(how, {})).toMatchObject({
      verdict: 'HOLDS',
      why: expect.stringContaining('of which at least 30 came before it failed and 65 after'),
    });
    expect(of(how, { arrived_before: 0 })).toMatchObject({ verdict: 'NOT MEASURED', figure: null });
    expect(of(how, { arrived_after: 0 })).toMatchObject({ verdict: 'NOT MEASURED', figure: null });
    expect(of(how, { arrived_after: 0, arrived: 1 })).toMatchObject({ verdict: 'FAILS' });
  }
});
