import { expect, test } from 'vitest';
import { benchCases } from '../cases.ts';
import { caseOf, checkedOutput, checkedOutputs, rates, throughputResult } from './examples.ts';
import { requirementOf } from './requirement-of.ts';

test('boundaries are judged by what a plain receiver got of enough datagrams, and one that takes super-frames whole', () => {
  const { checked } = throughputResult();
  const heard = (details: Partial<typeof checked>, each_output = checkedOutputs()) =>
    requirementOf(
      'super-boundaries',
      rates('super-48', { mcfleet: 1 }),
      rates('super-1to1', { mcfleet: 1 }),
      caseOf('super-1to8', throughputResult({ each_output, checked: { ...checked, ...details } })),
    ).verdict;
  expect(heard({})).toBe('HOLDS');
  expect(heard({ corrupt: 1 })).toBe('FAILS');
  expect(heard({ same_sha256: false })).toBe('FAILS');
  expect(heard({}, checkedOutputs({ outputs: [checkedOutput(), checkedOutput({ corrupt: 1 })] }))).toBe('FAILS');
  expect(heard({ received: 999, lost: 1 })).toBe('FAILS');
  expect(heard({ received: 998, lost: 2, receiverDrops: 1 })).toBe('FAILS');
  expect(heard({ received: 999, lost: 1, receiverDrops: 1 })).toBe('NOT MEASURED');
  expect(heard({ received: 999, lost: 1, receiverDrops: 1, corrupt: 1 })).toBe('FAILS');
  expect(heard({ sent: 999, received: 999 })).toBe('NOT MEASURED');
  expect(heard({ sent: 0, received: 0 })).toBe('NOT MEASURED');
  expect(heard({ sent: 999, received: 999, duplicates: 1 })).toBe('FAILS');
  expect(heard({ whole: checked })).toBe('HOLDS');
  expect(heard({ whole: { ...checked, sent: 1, received: 1 } })).toBe('NOT MEASURED');
  expect(heard({ whole: { ...checked, received: 500, lost: 500 } })).toBe('FAILS');
  for (const wrong of [{ corrupt: 300 }, { duplicates: 1 }, { reordered: 1 }, { same_sha256: false }]) {
    expect(heard({ whole: { ...checked, ...wrong } })).toBe('FAILS');
  }
});

test('one wrong case decides of boundaries, whatever was not measured', () => {
  const wrong = caseOf('super-1to8', throughputResult({ checked: { ...throughputResult().checked, corrupt: 1 } }));
  expect(requirementOf('super-boundaries', wrong)).toMatchObject({ verdict: 'FAILS' });
  expect(requirementOf('super-boundaries', rates('super-1to8', { mcfleet: 1 }))).toMatchObject({
    verdict: 'NOT MEASURED',
  });
});

test('the content of every case counts, also of those that concern no other line', () => {
  const { checked } = throughputResult();
  const of = (id: string, details: Partial<typeof checked>, engine: 'mcfleet' | 'mcfleet-kernel' = 'mcfleet') =>
    requirementOf(
      'content',
      rates('1to1', { mcfleet: 1, 'kernel-mfc': 1 }),
      caseOf(id, throughputResult({ engine, checked: { ...checked, ...details } })),
    );
  const every = benchCases.filter(({ kind }) => kind === 'throughput').map(({ id }) => id);
  expect(requirementOf('content').needs).toEqual(every);
  for (const id of every.filter((one) => one !== '1to1')) {
    const engine = id === 'engine-kernel' ? 'mcfleet-kernel' : 'mcfleet';
    expect(of(id, {}, engine)).toMatchObject({ verdict: 'HOLDS', figure: '2 of 2 cases', counts: true });
    expect(of(id, { corrupt: 5 }, engine)).toMatchObject({
      verdict: 'FAILS',
      figure: '1 of 2 cases',
      why: `${id}, ${engine}: at the receiver 5 corrupt; ${every.length - 2} more were not measured`,
    });
  }
  for (const wrong of [{ duplicates: 1 }, { reordered: 1 }, { same_sha256: false }]) {
    expect(of('64-bytes', wrong).verdict).toBe('FAILS');
    expect(of('64-bytes', { whole: { ...checked, ...wrong } }).verdict).toBe('FAILS');
  }
  expect(of('64-bytes', { lost: 1, missing_at_interface: 1, same_sha256: false }).verdict).toBe('FAILS');
  expect(of('64-bytes', { lost: 1, receiverDrops: 1, same_sha256: false }).verdict).toBe('NOT MEASURED');
  expect(of('64-bytes', { sent: 0, received: 0 }).verdict).toBe('NOT MEASURED');
  const each_output = checkedOutputs({ outputs: [checkedOutput(), checkedOutput({ lost: 300, received: 0 })] });
  expect(requirementOf('content', caseOf('8to8', throughputResult({ each_output })))).toMatchObject({
    verdict: 'FAILS',
    why: expect.stringContaining('8to8, mcfleet: outputs heard one by one at 1,000 pps: 239.10.1.1:6001 at veth2: 300'),
  });
  // What a peer does with packets is not mcfleet's.
  const peer = throughputResult({ engine: 'kernel-mfc', checked: { ...checked, corrupt: 1 } });
  expect(requirementOf('content', caseOf('1to1', throughputResult(), peer)).verdict).toBe('HOLDS');
  expect(requirementOf('content', caseOf('1to1', peer))).toMatchObject({ verdict: 'NOT MEASURED', figure: null });
});
