import { expect, test } from 'vitest';
import { median, threeDigits } from './statistics.ts';

test('median', () => {
  expect(median([3])).toBe(3);
  expect(median([9, 1, 5])).toBe(5);
  expect(median([10, 2, 4, 1])).toBe(3);
  expect(() => median([])).toThrow(RangeError);
});

test('three digits', () => {
  expect(threeDigits(789_456)).toBe(789_000);
  expect(threeDigits(0.012_345)).toBe(0.0123);
  expect(threeDigits(0)).toBe(0);
});
