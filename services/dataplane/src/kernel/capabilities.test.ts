import { expect, test } from 'vitest';
import { mayRoute } from './capabilities.ts';

test.each([
  ['CapEff:\t000001ffffffffff', true],
  ['CapEff:\t0000000000001000', true],
  ['CapEff:\t0000000000002000', false],
  ['CapPrm:\t0000000000001000\nCapEff:\t0000000000000000', false],
])('%s', (status, expected) => {
  expect(mayRoute(`Name:\tnode\n${status}\nSeccomp:\t0\n`)).toBe(expected);
});
