import { expect, test } from 'vitest';
import {
  checkedOutput,
  checkedOutputs,
  latencyResult,
  outputFailureResult,
  throughputResult,
  upkeepResult,
  wantedStream,
} from './must-hold/examples.ts';
import { judge } from './must-hold/requirements.ts';
import { withRatios } from './ratios.ts';
import { type BenchReport, LEFT_OUT } from './results.ts';
import { renderReport } from './table.ts';

const throughput = throughputResult();
const latency = latencyResult();
const upkeep = upkeepResult();

function report(...cases: BenchReport['cases']): string {
  return renderReport({
    schema: 'mcfleet-bench/1',
    command: 'npm run bench',
    date: '2026-01-02T03:04:05.000Z',
    seconds: 117,
    commit: 'abc+changes',
    machine: {
      kernel: '6.18',
      cpu: 'a processor',
      cores: 2,
      sender_core: 0,
      relay_core: 1,
      realtime: false,
      load_before: [0.5, 1, 2],
      load_after: [1, 1, 2],
    },
    cases,
    must_hold: judge(cases),
  });
}

/** The cells of the row that begins so. */
function cells(text: string, ...start: string[]): string[] {
  const rows = text.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
  const row = rows.find((one) => start.every((cell, index) => one[index + 1] === cell));
  return row?.slice(1, -1) ?? [];
}

test('every kind of result has its row', () => {
  const results = withRatios([throughput, { ...throughput, engine: 'kernel-mfc', limited_by: 'sender' }]);
  const text = report(
    { id: '1to8', title: 'one to eight', results },
    { id: 'latency-10k', title: 'latency', results: [latency] },
    { id: 'idle', title: 'idle', results: [upkeep] },
    { id: 'outputs-fail', title: 'fail', results: [outputFailureResult()] },
  );
  expect(text).toContain('Commit abc+changes, 2026-01-02T03:04:05.000Z, took 117 s.');
  expect(cells(text, 'one to eight', 'mcfleet').slice(2, 5)).toEqual(['100,000', '800,000', 'relay']);
  expect(cells(text, 'one to eight', 'kernel-mfc').slice(2, 5)).toEqual(['>= 100,000', '>= 800,000', 'sender']);
  expect(cells(text, 'latency', 'mcfleet').slice(2, 7)).toEqual(['6', '30', '40', '2.5 / 5', '3.5 / 25']);
  expect(cells(text, 'latency', 'mcfleet')[10]).toBe('0');
  expect(cells(text, 'idle', 'mcfleet').slice(2, 8)).toEqual(['1.23', '2', '-', '111', '34', '27']);
  expect(cells(text, 'made full', 'mcfleet').slice(2, 6)).toEqual(['20,000', '3', '300', '0']);
  expect(cells(text, 'HOLDS', 'one output interface made full: packets that the other outputs lose')).toContain('0');
  expect(text).toContain('#### Must hold: 6 of 26 do');
  expect(text).toMatch(/\d+ more are about cases that were not asked for\./);
});

test('what was lost, disturbed, unavailable or failed is not hidden', () => {
  const text = report({
    id: '1to1',
    title: 'one',
    results: [
      {
        ...throughput,
        confirmed: 1,
        checked: { ...throughput.checked, lost: 3, reordered: 1 },
        disturbance: { ...throughput.disturbance, in_the_answer: true, foreign_cores: 0.7 },
      },
      { kind: 'not-available', engine: 'socat', reason: 'there is no socat' },
      { kind: 'failed', engine: 'kernel-mfc', error: 'it broke' },
      { kind: 'not-available', engine: 'socat-tuned', reason: LEFT_OUT },
    ],
  });
  const damaged = report({
    id: 'latency-10k',
    title: 'latency',
    results: [latencyResult({ lost: 4, duplicates: 3, corrupt: 1 })],
  });
  expect(cells(damaged, 'latency', 'mcfleet')).toContain('4, 3 duplicates, 1 corrupt');
  const wanted = wantedStream({ duplicates: 2 });
  const unmatched = report({ id: 'unmatched', title: 'unmatched', results: [upkeepResult({ wanted })] });
  expect(cells(unmatched, 'unmatched', 'mcfleet')).toContain('200 of 200, 2 duplicates');
  const row = cells(text, 'one', 'mcfleet');
  expect(row).toContain('relay (1 of 3)');
  expect(row).toContain('3 lost, 1 reordered at 100,000');
  expect(row).toContain('yes (0.7 cores)');
  expect(text).toContain('- 1to1 (one), socat: not available: there is no socat');
  expect(text).toContain('- 1to1 (one), kernel-mfc: FAILED: it broke');
  expect(text).toContain('- left out by --quick: 1to1 (socat-tuned)');
});

test('what each output got is told beside it, and which are wrong below', () => {
  const lost = checkedOutput({ group: '239.10.1.2', lost: 300, received: 0 });
  const text = report(
    { id: 'good', title: 'good', results: [{ ...throughput, each_output: checkedOutputs() }] },
    {
      id: 'bad',
      title: 'bad',
      results: [{ ...throughput, each_output: checkedOutputs({ outputs: [lost], astray: 300 }) }],
    },
  );
  expect(cells(text, 'good', 'mcfleet')).toContain('ok at 100,000; each of 2: ok at 1,000');
  expect(cells(text, 'bad', 'mcfleet')).toContain('ok at 100,000; each of 1: 1 wrong, 300 astray at 1,000');
  expect(text).toContain('- bad, mcfleet: 239.10.1.2:6001 at veth2: 300 of 300 lost\n');
  expect(text).not.toContain('- good');
});

test('at which rate it was checked is told, and what bounds it where that was lower', () => {
  const { checked } = throughput;
  const earlier = { rate: 95_000, sent: 100, received: 90, receiver_drops: 0, missing_at_interface: 12 };
  const whole = { ...checked, same_sha256: false };
  const text = report(
    { id: 'fast', title: 'fast', results: [throughput] },
    {
      id: 'slow',
      title: 'slow',
      results: [{ ...throughput, checked: { ...checked, rate: 40_000, earlier: [earlier], whole } }],
    },
    { id: 'again', title: 'again', results: [{ ...throughput, checked: { ...checked, earlier: [earlier] } }] },
  );
  expect(cells(text, 'fast', 'mcfleet')).toContain('ok at 100,000');
  expect(cells(text, 'slow', 'mcfleet')).toContain('ok at 40,000; whole: other SHA-256 at 100,000');
  expect(text).toContain(
    '- slow, mcfleet: at 95,000 pps a plain UDP receiver missed 10 of 100, at its interface too: ',
  );
  expect(text).not.toContain('- again,');
  const behind = report({
    id: 'one',
    title: 'one',
    results: [{ ...throughput, checked: { ...checked, rate: 50_000 } }],
  });
  expect(behind).toContain('- one, mcfleet: the sender, which writes each payload anew here, did 50,000 pps');
});
