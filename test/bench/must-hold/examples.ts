import type { EngineName } from '../engine.ts';
import { addedLatency } from '../latency-added.ts';
import type {
  CaseReport,
  CheckedOutput,
  CheckedOutputs,
  LatencyResult,
  OutputFailureResult,
  Result,
  ThroughputResult,
  UpkeepResult,
  WantedStream,
} from '../results.ts';

/** Results for tests: plausible ones, of which a test changes what it is about. */
function example<T extends object>(plausible: T): (details?: Partial<T>) => T {
  return (details = {}) => ({ ...plausible, ...details });
}

export const throughputResult = example<ThroughputResult>({
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
    received: 1_000,
    lost: 0,
    duplicates: 0,
    reordered: 0,
    corrupt: 0,
    receiverDrops: 0,
    senders: 1,
    latencyUs: null,
    payloadSha256: 'ab',
    rate: 100_000,
    sent: 1_000,
    same_sha256: true,
    missing_at_interface: 0,
    earlier: [],
    whole: null,
  },
  each_output: null,
  disturbance: { repeated: 0, in_the_answer: false, foreign_cores: 0, sender_after_to_before: 1 },
  ratio: {},
  note: '',
});

export const checkedOutput = example<CheckedOutput>({
  interface: 'veth2',
  group: '239.10.1.1',
  port: 6001,
  stream: 0,
  received: 300,
  sent: 300,
  lost: 0,
  duplicates: 0,
  reordered: 0,
  corrupt: 0,
  receiverDrops: 0,
  senders: 1,
  payloadSha256: 'ab',
  same_sha256: true,
  latencyUs: null,
});

export const checkedOutputs = example<CheckedOutputs>({
  rate: 1_000,
  outputs: [checkedOutput(), checkedOutput({ group: '239.10.1.2' })],
  astray: 0,
});

const withoutRelay = { p50_us: 2.5, p99_us: 5, p999_us: 9, foreign_cores: 0 };
const plausibleLatency = example<Omit<LatencyResult, 'added'>>({
  kind: 'latency',
  engine: 'mcfleet',
  rate: 10_000,
  p50_us: 6,
  p99_us: 30,
  p999_us: 40,
  without_relay: withoutRelay,
  sent: 12_000,
  lost: 0,
  receiver_drops: 0,
  duplicates: 0,
  reordered: 0,
  corrupt: 0,
  runs: 3,
  foreign_cores: 0,
  ratio_p50: {},
  ratio_p99: {},
  ratio_added_p50: {},
  ratio_added_p99: {},
  note: '',
});

/** What is added follows from the rest. */
export function latencyResult(details: Partial<Omit<LatencyResult, 'added'>> = {}): LatencyResult {
  const result = plausibleLatency(details);
  return { ...result, added: addedLatency(result, result.without_relay) };
}

export const upkeepResult = example<UpkeepResult>({
  kind: 'upkeep',
  engine: 'mcfleet',
  unmatched_pps: 0,
  wanted: null,
  cpu_share: 0.0123,
  seconds: 2,
  resident_bytes: 111_000_000,
  ring_bytes: 34_000_000,
  apply_ms: 27,
  change_ms: null,
  foreign_cores: 0,
  note: '',
});

export const wantedStream = example<WantedStream>({
  rate: 100,
  sent: 200,
  received: 200,
  duplicates: 0,
  reordered: 0,
  corrupt: 0,
});

export const outputFailureResult = example<OutputFailureResult>({
  kind: 'output-failure',
  engine: 'mcfleet',
  rate: 20_000,
  failures: (['down', 'stripped', 'full', 'deleted'] as const).map((how, index) => ({
    how,
    sent: 100,
    others: 5 - index,
    expected: 100 * (5 - index),
    arrived: 100 * (5 - index),
    arrived_at_failed: how === 'deleted' ? null : 30,
    arrived_before: 30,
    arrived_after: 65,
  })),
  foreign_cores: 0,
  note: '',
});

/** A case with these results. */
export function caseOf(id: string, ...results: readonly Result[]): CaseReport {
  return { id, title: id, results };
}

/** A case of one rate per relay, in and out. */
export function rates(id: string, found: Partial<Record<EngineName, number>>, copies = 1): CaseReport {
  const results = Object.entries(found).map(([engine, in_pps]) =>
    throughputResult({
      engine: engine as EngineName,
      in_pps,
      out_pps: in_pps * copies,
      checked: { ...throughputResult().checked, rate: in_pps },
    }),
  );
  return caseOf(id, ...results);
}
