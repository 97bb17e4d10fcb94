import { RelayCounters } from '@mcfleet/proto/mcfleet/v1/relay';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { LoopWatch } from './loop-watch.ts';

const counters = (reason: string, packets: number): RelayCounters =>
  RelayCounters.fromPartial({ drops: [{ reason, packets: BigInt(packets) }] });

it('suspects a loop for a minute after repeats were last counted', () => {
  const watch = new LoopWatch();
  expect(watch.isSuspected('a', counters('duplicate', 0), 0)).toBe(false);
  expect(watch.isSuspected('a', counters('duplicate', 5), 1_000)).toBe(true);
  expect(watch.isSuspected('a', counters('duplicate', 5), 60_999)).toBe(true);
  expect(watch.isSuspected('a', counters('duplicate', 5), 61_000)).toBe(false);
  expect(watch.isSuspected('b', counters('duplicate', 0), 1_000)).toBe(false);
});

it('suspects none for other losses', () => {
  expect(new LoopWatch().isSuspected('a', counters('rate_limited', 9), 0)).toBe(false);
});

it('starts anew with a data plane that counts from zero, and forgets relays that are gone', () => {
  const watch = new LoopWatch();
  watch.isSuspected('a', counters('loop', 9), 0);
  expect(watch.isSuspected('a', counters('loop', 0), 70_000)).toBe(false);
  expect(watch.isSuspected('a', counters('loop', 3), 80_000)).toBe(true);
  watch.retain(new Set());
  expect(watch.isSuspected('a', counters('loop', 0), 80_001)).toBe(false);
});

it('tells exactly whether the count rose within the last minute', () => {
  const steps = fc.array(fc.record({ ms: fc.nat(40_000), more: fc.constantFrom(0, 0, 1, 7) }), { maxLength: 30 });
  fc.assert(
    fc.property(steps, (history) => {
      const watch = new LoopWatch();
      let now = 0;
      let packets = 0;
      let rose = Number.NEGATIVE_INFINITY;
      for (const { ms, more } of history) {
        now += ms;
        packets += more;
        if (more > 0) rose = now;
        expect(watch.isSuspected('a', counters('duplicate', packets), now)).toBe(now - rose < 60_000);
      }
    }),
  );
});
