import { expect, test } from 'vitest';
import type { Disturbance } from '../results.ts';
import { caseOf, checkedOutput, checkedOutputs, rates, throughputResult } from './examples.ts';
import { requirementOf } from './requirement-of.ts';

const disturbance: Disturbance = { repeated: 4, in_the_answer: true, foreign_cores: 1, sender_after_to_before: 1 };

test('the best of the settings counts, what bounds it is told, and beside it stands what the default reaches', () => {
  const exclusive = [rates('1to1-exclusive', { mcfleet: 1 }), rates('1to1-exclusive-spin', { mcfleet: 1 })];
  const cases = [rates('1to1', { mcfleet: 500_000, 'socat-tuned': 100_000, 'kernel-mfc': 400_000 }), ...exclusive];
  expect(requirementOf('1to1-rate', ...cases)).toMatchObject({ verdict: 'NOT MEASURED', figure: '500,000 pps' });
  const { checked } = throughputResult();
  const fast = { in_pps: 790_000, checked: { ...checked, rate: 790_000 } };
  const spin = caseOf('spin-200', throughputResult({ ...fast, limited_by: 'sender' }));
  expect(requirementOf('1to1-rate', ...cases, spin)).toMatchObject({
    verdict: 'HOLDS',
    figure: '790,000 pps',
    why: 'spin-200, mcfleet, the sender does no more',
  });
  expect(requirementOf('1to1-to-socat', ...cases, spin)).toMatchObject({ verdict: 'HOLDS', figure: '7.90' });
  expect(requirementOf('1to1-to-kernel-mfc', ...cases, spin)).toMatchObject({ verdict: 'HOLDS', figure: '1.98' });
  const plain = { verdict: 'FAILS', counts: false, what: expect.stringContaining('(for comparison)') };
  expect(requirementOf('1to1-default-rate', ...cases, spin)).toMatchObject({ ...plain, figure: '500,000 pps' });
  expect(requirementOf('1to1-default-to-kernel-mfc', ...cases, spin)).toMatchObject({ ...plain, figure: '1.25' });
  expect(requirementOf('1to1-default-to-socat', ...cases)).toMatchObject({
    verdict: 'HOLDS',
    figure: '5.00',
    counts: false,
  });
  const kept = rates('1to1-exclusive', { mcfleet: 800_000 });
  expect(requirementOf('1to1-rate', ...cases.slice(0, 1), spin, kept)).toMatchObject({
    why: '1to1-exclusive, mcfleet',
  });
  const slow = caseOf('spin-200', throughputResult({ in_pps: 690_000 }));
  expect(requirementOf('1to1-rate', ...cases, slow)).toMatchObject({ verdict: 'FAILS', figure: '690,000 pps' });
});

test('what others disturbed is judged only where the disturbance makes no difference', () => {
  const disturbed = (in_pps: number) => caseOf('1to1', throughputResult({ in_pps, disturbance }));
  const others = ['spin-200', '1to1-exclusive', '1to1-exclusive-spin'].map((id) => rates(id, { mcfleet: 1 }));
  expect(requirementOf('1to1-rate', disturbed(600_000), ...others).verdict).toBe('NOT MEASURED');
  expect(requirementOf('1to1-rate', disturbed(800_000), ...others).verdict).toBe('HOLDS');

  const peer = throughputResult({ engine: 'socat-tuned', in_pps: 100_000, disturbance });
  const compared = (in_pps: number) =>
    requirementOf('1to1-to-socat', caseOf('1to1', throughputResult({ in_pps }), peer), ...others).verdict;
  expect(compared(600_000)).toBe('NOT MEASURED');
  expect(compared(400_000)).toBe('FAILS');
  expect(requirementOf('1to1-to-socat', rates('1to1', { mcfleet: 1, 'socat-tuned': 0 }), ...others).verdict).toBe(
    'NOT MEASURED',
  );
});

test('a rate that did not hold, or whose packets came damaged, is none', () => {
  const checked = { ...throughputResult().checked };
  const of = (details: Parameters<typeof throughputResult>[0]) =>
    requirementOf(
      '1to32-rate',
      caseOf('1to32', throughputResult({ out_pps: 9e6, ...details })),
      rates('1to32-spin', { mcfleet: 1 }),
      rates('1to32-exclusive-spin', { mcfleet: 1 }),
    );
  expect(of({})).toMatchObject({ verdict: 'HOLDS' });
  expect(of({ confirmed: 2 })).toMatchObject({ verdict: 'FAILS', why: expect.stringContaining('held 2 of 3 times') });
  expect(of({ checked: { ...checked, corrupt: 1 } })).toMatchObject({ verdict: 'FAILS' });
  expect(of({ checked: { ...checked, lost: 2 } })).toMatchObject({ verdict: 'FAILS' });
  expect(of({ checked: { ...checked, lost: 2, receiverDrops: 2 } })).toMatchObject({ verdict: 'FAILS' });
  expect(of({ checked: { ...checked, same_sha256: false } })).toMatchObject({
    verdict: 'FAILS',
    why: expect.stringContaining('another SHA-256'),
  });
  expect(of({ checked: { ...checked, whole: checked } })).toMatchObject({ verdict: 'HOLDS' });
  expect(of({ checked: { ...checked, whole: { ...checked, same_sha256: false } } }).verdict).toBe('FAILS');
  expect(of({ checked: { ...checked, whole: { ...checked, reordered: 1 } } }).verdict).toBe('FAILS');
});

test('a rate is none if one output is wrong that was heard by itself, or packets went astray', () => {
  const of = (each_output: ReturnType<typeof checkedOutputs> | null) =>
    requirementOf(
      '1to32-rate',
      caseOf('1to32', throughputResult({ out_pps: 9e6, each_output })),
      rates('1to32-spin', { mcfleet: 1 }),
      rates('1to32-exclusive-spin', { mcfleet: 1 }),
    );
  const one = (details: Parameters<typeof checkedOutput>[0]) =>
    of(checkedOutputs({ outputs: [checkedOutput(), checkedOutput(details), checkedOutput()] }));
  expect(of(null)).toMatchObject({ verdict: 'HOLDS' });
  expect(one({})).toMatchObject({ verdict: 'HOLDS' });
  expect(one({ received: 0, lost: 300, group: '239.10.1.7' })).toMatchObject({
    verdict: 'FAILS',
    why: expect.stringContaining('at 1,000 pps: 239.10.1.7:6001 at veth2: 300 of 300 lost'),
  });
  for (const wrong of [{ duplicates: 1 }, { reordered: 1 }, { corrupt: 1 }, { same_sha256: false }, { senders: 2 }]) {
    expect(one(wrong)).toMatchObject({ verdict: 'FAILS', figure: expect.not.stringContaining('9,000,000') });
  }
  expect(of(checkedOutputs({ astray: 1 }))).toMatchObject({ verdict: 'FAILS' });
});

test('a rate at which the relay lost while its content was looked at is none; a lower one is told', () => {
  const { checked } = throughputResult();
  const of = (details: Partial<typeof checked>) =>
    requirementOf(
      '1to8-software-rate',
      caseOf('1to8-no-uso', throughputResult({ out_pps: 9e6, checked: { ...checked, ...details } })),
      rates('1to8-no-uso-spin', { mcfleet: 1 }),
    );
  const attempt = { rate: 99_000, sent: 100, received: 60, receiver_drops: 40, missing_at_interface: 0 };
  const byRelay = { ...attempt, receiver_drops: 0, missing_at_interface: 320 };
  expect(of({ rate: 95_000 })).toMatchObject({ verdict: 'HOLDS', why: '1to8-no-uso, mcfleet' });
  expect(of({ rate: 60_000, earlier: [attempt, attempt] })).toMatchObject({
    verdict: 'HOLDS',
    why: '1to8-no-uso, mcfleet, content checked at 60,000 pps in',
  });
  expect(of({ rate: 60_000, earlier: [attempt, byRelay] })).toMatchObject({
    verdict: 'FAILS',
    figure: '1 pps',
    why: "1to8-no-uso-spin, mcfleet; 1to8-no-uso, mcfleet: 320 copies did not come to the receiver's interface at 99,000 pps; content checked at 60,000 pps",
  });
  // Once is no more for this rate than in the search for it.
  expect(of({ rate: 98_000, earlier: [byRelay] })).toMatchObject({ verdict: 'HOLDS' });
  // Delivery of super-frames to a plain receiver takes the time of the relay.
  const whole = { ...checked, rate: 98_000 };
  expect(of({ rate: 20_000, earlier: [byRelay], whole })).toMatchObject({
    verdict: 'HOLDS',
    why: '1to8-no-uso, mcfleet, content checked at 20,000 pps in, of super-frames taken whole at 98,000 pps',
  });
  const lessWhole = { ...whole, rate: 35_000, earlier: [byRelay] };
  expect(of({ rate: 20_000, earlier: [byRelay], whole: lessWhole })).toMatchObject({ verdict: 'FAILS' });
});

test('what mcfleet is compared with is told to be a lower bound where the sender limits it', () => {
  const others = ['spin-200', '1to1-exclusive', '1to1-exclusive-spin'].map((id) => rates(id, { mcfleet: 1 }));
  const { checked } = throughputResult();
  const of = (limited_by: 'sender' | 'relay') =>
    requirementOf(
      '1to1-to-kernel-mfc',
      caseOf(
        '1to1',
        throughputResult({ in_pps: 600_000, checked: { ...checked, rate: 600_000 } }),
        throughputResult({ engine: 'kernel-mfc', limited_by }),
      ),
      ...others,
    );
  const plain = '600,000 pps (1to1, mcfleet) / 100,000 pps (1to1, kernel-mfc';
  expect(of('relay')).toMatchObject({ verdict: 'HOLDS', why: `${plain})` });
  expect(of('sender')).toMatchObject({
    verdict: 'HOLDS',
    why: `${plain}, the sender does no more); the second is a lower bound: with a faster sender it may do more`,
  });
});
