import { expect, test } from 'vitest';
import { ManualClock } from './manual-clock.ts';

test('timers are called in order, each at its own time, also those set by a timer', () => {
  const clock = new ManualClock(1000);
  const calls: string[] = [];
  clock.setTimeout(() => calls.push(`late ${clock.now()}`), 30);
  clock.setTimeout(() => {
    calls.push(`early ${clock.now()}`);
    clock.setTimeout(() => calls.push(`nested ${clock.now()}`), 5);
  }, 10);
  clock.advance(29);
  expect(calls).toEqual(['early 1010', 'nested 1015']);
  clock.advance(1);
  expect(calls).toEqual(['early 1010', 'nested 1015', 'late 1030']);
  expect(clock.monotonic()).toBe(30);
});

test('a cleared timer is not called', () => {
  const clock = new ManualClock();
  let called = false;
  const timer = clock.setTimeout(() => {
    called = true;
  }, 10);
  timer.clear();
  clock.advance(100);
  expect(called).toBe(false);
  expect(clock.pending).toBe(0);
});
