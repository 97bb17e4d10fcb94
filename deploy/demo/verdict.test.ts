import { expect, it } from 'vitest';
import type { Received } from '../../test/fleet/probe.ts';
import { judge } from './verdict.ts';

const seen: Received = {
  received: 1_000,
  lost: 0,
  duplicates: 0,
  reordered: 0,
  corrupt: 0,
  bytes: 1_316_000,
  latency_us: { p50: 20, p99: 50, max: 90 },
  first_sequence: 0,
  last_sequence: 999,
  receiver_drops: 0,
};

it('is content only if every packet that was sent arrived once and unchanged', () => {
  expect(judge('viewer', 1_000, seen).complete).toBe(true);
  // The receiver cannot know of packets that are missing at the end.
  expect(judge('viewer', 1_001, seen).complete).toBe(false);
  expect(judge('viewer', 1_000, { ...seen, duplicates: 1 }).complete).toBe(false);
  expect(judge('viewer', 1_000, { ...seen, corrupt: 1 }).complete).toBe(false);
  expect(judge('viewer', 1_000, { ...seen, received: 0, latency_us: { p50: null, p99: null, max: null } })).toEqual({
    complete: false,
    line: 'viewer: 0 received, 1,000 lost, 0 duplicates, 0 corrupt',
  });
});
