import { expect, test } from 'vitest';
import { withRatios } from './ratios.ts';
import type { BenchReport, LatencyResult, ThroughputResult, UpkeepResult } from './results.ts';
import { markdownTable, renderReport } from './table.ts';

const throughput: ThroughputResult = {
  kind: 'throughput',
  engine: 'mcfleet',
  in_pps: 100_000,
  out_pps: 800_000,
  limited_by: 'relay',
  confirmed: 3,
  attempts: 12,
  relay_cpu_seconds_per_million: 1.25,
  sender_cpu_seconds_per_million: 0.5,
  sender_ceiling_pps: 1_000_000,
  checked: {
    received: 10,
    lost: 0,
    duplicates: 0,
    reordered: 0,
    corrupt: 0,
    receiverDrops: 0,
    latencyUs: null,
    rate: 1_000,
    sent: 10,
  },
  disturbance: { repeated: 0, in_the_answer: false, foreign_cores: 0, sender_after_to_before: 1 },
  ratio: {},
  note: '',
};
const latency: LatencyResult = {
  kind: 'latency',
  engine: 'mcfleet',
  rate: 10_000,
  p50_us: 6,
  p99_us: 30,
  p999_us: 40,
  without_relay: { p50_us: 2.5, p99_us: 5, p999_us: 9 },
  lost: 0,
  runs: 3,
  foreign_cores: 0,
  ratio_p50: {},
  ratio_p99: {},
  note: '',
};
const upkeep: UpkeepResult = {
  kind: 'upkeep',
  engine: 'mcfleet',
  unmatched_pps: 0,
  cpu_share: 0.0123,
  seconds: 2,
  resident_bytes: 111_000_000,
  ring_bytes: 34_000_000,
  apply_ms: 27,
  foreign_cores: 0,
  note: '',
};

function report(...cases: BenchReport['cases']): string {
  return renderReport({
    schema: 'mcfleet-bench/1',
    command: 'npm run bench',
    date: '2026-01-02T03:04:05.000Z',
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
  });
}

/** The cells of the row that begins so. */
function cells(text: string, ...start: string[]): string[] {
  const rows = text.split('\n').map((line) => line.split('|').map((cell) => cell.trim()));
  const row = rows.find((one) => start.every((cell, index) => one[index + 1] === cell));
  return row?.slice(1, -1) ?? [];
}

test('a table is aligned, numbers to the right', () => {
  expect(
    markdownTable(
      ['name', 'pps'],
      [
        ['1 -> 1', '1,000'],
        ['x', '>= 5'],
        ['n', 'n/a'],
      ],
    ),
  ).toBe(
    ['| name   | pps   |', '|--------|-------|', '| 1 -> 1 | 1,000 |', '| x      |  >= 5 |', '| n      | n/a   |'].join(
      '\n',
    ),
  );
});

test('ratios are to the other engines of the same case', () => {
  const results = withRatios([
    throughput,
    { ...throughput, engine: 'socat-tuned', out_pps: 160_000 },
    { ...throughput, engine: 'kernel-mfc', out_pps: 0 },
    { kind: 'not-available', engine: 'socat', reason: 'why' },
  ]);
  expect(results.map((result) => result.kind === 'throughput' && result.ratio)).toEqual([
    { 'socat-tuned': 5 },
    { mcfleet: 0.2 },
    { mcfleet: 0, 'socat-tuned': 0 },
    false,
  ]);
  const latencies = withRatios([latency, { ...latency, engine: 'kernel-mfc', p50_us: 4, p99_us: 60 }]);
  expect(latencies[0]).toMatchObject({ ratio_p50: { 'kernel-mfc': 1.5 }, ratio_p99: { 'kernel-mfc': 0.5 } });
});

test('every kind of result has its row', () => {
  const results = withRatios([throughput, { ...throughput, engine: 'kernel-mfc', limited_by: 'sender' }]);
  const text = report(
    { id: '1to8', title: 'one to eight', results },
    { id: 'latency-10k', title: 'latency', results: [latency] },
    { id: 'idle', title: 'idle', results: [upkeep] },
  );
  expect(text).toContain('Commit abc+changes');
  expect(cells(text, 'one to eight', 'mcfleet').slice(2, 5)).toEqual(['100,000', '800,000', 'relay']);
  expect(cells(text, 'one to eight', 'kernel-mfc').slice(2, 5)).toEqual(['>= 100,000', '>= 800,000', 'sender']);
  expect(cells(text, 'latency', 'mcfleet').slice(2, 6)).toEqual(['6', '30', '40', '2.5 / 5']);
  expect(cells(text, 'idle', 'mcfleet').slice(2, 6)).toEqual(['1.23', '111', '34', '27']);
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
    ],
  });
  const row = cells(text, 'one', 'mcfleet');
  expect(row).toContain('relay (1 of 3)');
  expect(row).toContain('3 lost, 1 reordered');
  expect(row).toContain('yes (0.7 cores)');
  expect(text).toContain('- 1to1 (one), socat: not available: there is no socat');
  expect(text).toContain('- 1to1 (one), kernel-mfc: FAILED: it broke');
});
