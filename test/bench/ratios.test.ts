import { expect, test } from 'vitest';
import { latencyResult, throughputResult } from './must-hold/examples.ts';
import { withRatios } from './ratios.ts';

const throughput = throughputResult();
const latency = latencyResult();

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
  const latencies = withRatios([latency, latencyResult({ engine: 'kernel-mfc', p50_us: 4, p99_us: 60 })]);
  expect(latencies[0]).toMatchObject({
    ratio_p50: { 'kernel-mfc': 1.5 },
    ratio_p99: { 'kernel-mfc': 0.5 },
    ratio_added_p50: { 'kernel-mfc': 2.33 },
    ratio_added_p99: { 'kernel-mfc': 0.455 },
  });
  // 0.4 us are too little to divide by.
  const [first] = withRatios([latency, latencyResult({ engine: 'socat', p50_us: 2.9 })]);
  expect(first).toMatchObject({ ratio_p50: { socat: 2.07 }, ratio_added_p50: {}, ratio_added_p99: { socat: 1 } });
  // Neither is what came twice.
  const none = { ratio_p50: {}, ratio_p99: {}, ratio_added_p50: {}, ratio_added_p99: {} };
  for (const each of withRatios([latency, latencyResult({ engine: 'socat', duplicates: 1 })])) {
    expect(each).toMatchObject(none);
  }
});
