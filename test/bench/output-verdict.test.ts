import { expect, test } from 'vitest';
import { checkedOutput, checkedOutputs, throughputResult } from './must-hold/examples.ts';
import { outputsFlaw, outputsVerdict, wrongAt, wrongOutputs, wrongOutputsList } from './output-verdict.ts';

const right = checkedOutput();

test('an output is right if everything of its stream came once, in order, and nothing else', () => {
  expect(wrongAt(right)).toBeUndefined();
  expect(wrongAt(checkedOutput({ received: 0, lost: 300, senders: 0, same_sha256: false }))).toBe('300 of 300 lost');
  expect(wrongAt(checkedOutput({ duplicates: 2, reordered: 3, corrupt: 4 }))).toBe(
    '2 duplicates, 3 reordered, 4 corrupt',
  );
  expect(wrongAt(checkedOutput({ received: 601, lost: -301, senders: 2, same_sha256: false }))).toBe(
    'packets of 2 senders',
  );
  expect(wrongAt(checkedOutput({ senders: 2 }))).toBe('packets of 2 senders');
  expect(wrongAt(checkedOutput({ received: 301, lost: -1, same_sha256: false }))).toBe('1 more than were sent');
  expect(wrongAt(checkedOutput({ same_sha256: false }))).toBe('other SHA-256');
});

test('wrong outputs are named with their places, and so is what came that no output was to send', () => {
  const outputs = [right, checkedOutput({ group: 'ff15::1', interface: 'in1', lost: 1, received: 299 })];
  const each = checkedOutputs({ outputs, astray: 1_234 });
  const first = '[ff15::1]:6001 at in1: 1 of 300 lost';
  const second = '1,234 packets came that no output was to send';
  expect(wrongOutputs(each)).toEqual([first, second]);
  expect(outputsVerdict(each)).toBe('each of 2: 1 wrong, 1,234 astray at 1,000');
  expect(outputsFlaw(each)).toBe(`outputs heard one by one at 1,000 pps: ${first}, and 1 more like that`);
  const results = [throughputResult({ each_output: each }), throughputResult({ engine: 'kernel-mfc' })];
  expect(wrongOutputsList([{ id: '1to2', title: '', results }])).toBe(
    `Outputs that are wrong, heard one by one:\n\n- 1to2, mcfleet: ${first}\n- 1to2, mcfleet: ${second}`,
  );
});

test('nothing is said of outputs that are right, or that nobody heard one by one', () => {
  const each = checkedOutputs();
  expect(wrongOutputs(each)).toEqual([]);
  expect(outputsVerdict(each)).toBe('each of 2: ok at 1,000');
  expect(outputsFlaw(each)).toBeUndefined();
  expect(outputsFlaw(null)).toBeUndefined();
  expect(wrongOutputsList([{ id: '1to2', title: '', results: [throughputResult({ each_output: each })] }])).toBe('');
});
