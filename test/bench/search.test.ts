import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type Attempt, findZeroLossRate, type SearchOptions } from './search.ts';

const options: SearchOptions = {
  lowest: 1_000,
  highest: 1_000_000,
  precision: 0.05,
  confirmations: 3,
  maxAttempts: 40,
};

/** A relay that loses above a rate, fed by a sender that ends at another. */
function relay(limit: number, sender = Number.POSITIVE_INFINITY): (rate: number) => Promise<Attempt> {
  return async (asked) => {
    const rate = Math.min(asked, sender);
    return { rate, lossless: rate <= limit };
  };
}

test('finds any limit to the given precision, within 25 attempts', async () => {
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1_000, max: 999_999 }), async (limit) => {
      const found = await findZeroLossRate(relay(limit), options);
      expect(found).toMatchObject({ limitedBy: 'relay', confirmed: 3 });
      expect(found.rate).toBeLessThanOrEqual(limit);
      expect(found.rate * 1.06).toBeGreaterThanOrEqual(limit);
      expect(found.attempts).toBeLessThanOrEqual(25);
    }),
  );
});

test('a relay that is faster than the sender is not made slower than it is', async () => {
  expect(await findZeroLossRate(relay(2_000_000), options)).toEqual({
    rate: 1_000_000,
    limitedBy: 'sender',
    confirmed: 3,
    attempts: 4,
  });
  const slowSender = await findZeroLossRate(relay(2_000_000, 700_000), options);
  expect(slowSender).toMatchObject({ rate: 700_000, limitedBy: 'sender' });
});

test('a relay that loses at every rate has none', async () => {
  const found = await findZeroLossRate(relay(10), options);
  expect(found).toMatchObject({ rate: 0, limitedBy: 'relay', confirmed: 0 });
  expect(found.attempts).toBeLessThanOrEqual(options.maxAttempts);
});

test('a rate that held once and not again is not the answer', async () => {
  let lucky = true;
  const found = await findZeroLossRate(async (rate) => {
    const lossless = rate <= 200_000 || (lucky && rate <= 400_000);
    if (rate > 200_000 && rate <= 400_000) lucky = false;
    return { rate, lossless };
  }, options);
  expect(found).toMatchObject({ confirmed: 3 });
  expect(found.rate).toBeLessThanOrEqual(200_000);
});

test('never makes more attempts than it may', async () => {
  await fc.assert(
    fc.asyncProperty(fc.infiniteStream(fc.boolean()), async (luck) => {
      let made = 0;
      const found = await findZeroLossRate(
        async (rate) => {
          made += 1;
          return { rate, lossless: luck.next().value === true };
        },
        { ...options, maxAttempts: 20 },
      );
      expect(made).toBe(found.attempts);
      expect(made).toBeLessThanOrEqual(20);
    }),
  );
});

test('one unlucky loss far below the limit does not end the search there', async () => {
  const lossAt = new Set([2, 4, 6]);
  let attempt = 0;
  const found = await findZeroLossRate(async (rate) => {
    attempt += 1;
    return { rate, lossless: rate <= 300_000 && !lossAt.has(attempt) };
  }, options);
  expect(found.rate).toBeGreaterThan(280_000);
  expect(found.confirmed).toBe(3);
});

test('a sender that was held up once is not at its limit', async () => {
  let attempt = 0;
  const found = await findZeroLossRate(async (asked) => {
    attempt += 1;
    const rate = attempt % 3 === 0 ? asked * 0.9 : asked;
    return { rate, lossless: rate <= 300_000 };
  }, options);
  expect(found.limitedBy).toBe('relay');
  expect(found.rate).toBeGreaterThan(250_000);
});
