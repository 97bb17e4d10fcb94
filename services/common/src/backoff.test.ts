import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Backoff } from './backoff.ts';

test('the bound doubles up to the maximum, and a reset starts again', () => {
  const backoff = new Backoff({ initialMs: 500, maxMs: 3000, random: () => 0.5 });
  expect([backoff.next(), backoff.next(), backoff.next(), backoff.next(), backoff.next()]).toEqual([
    250, 500, 1000, 1500, 1500,
  ]);
  backoff.reset();
  expect(backoff.next()).toBe(250);
});

test('no delay is ever negative or above the maximum', () => {
  fc.assert(
    fc.property(fc.nat(), fc.nat(), fc.integer({ min: 1, max: 100 }), (initialMs, maxMs, count) => {
      const backoff = new Backoff({ initialMs, maxMs });
      for (let i = 0; i < count; i++) {
        const delay = backoff.next();
        expect(delay).toBeGreaterThanOrEqual(0);
        expect(delay).toBeLessThanOrEqual(maxMs);
      }
    }),
  );
});
