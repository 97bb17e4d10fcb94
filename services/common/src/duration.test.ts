import fc from 'fast-check';
import { expect, test } from 'vitest';
import { toDuration, toMilliseconds } from './duration.ts';

test('whole seconds and fractions are split', () => {
  expect(toDuration(1500)).toEqual({ seconds: 1n, nanos: 500_000_000 });
  expect(toDuration(0.25)).toEqual({ seconds: 0n, nanos: 250_000 });
  expect(toDuration(-1500)).toEqual({ seconds: -1n, nanos: -500_000_000 });
});

test('milliseconds come back', () => {
  fc.assert(
    fc.property(fc.integer(), (ms) => {
      expect(toMilliseconds(toDuration(ms))).toBe(ms);
    }),
  );
});
