import fc from 'fast-check';
import { expect, test } from 'vitest';
import { quote } from './quote.ts';

const UNFIT_FOR_A_TERMINAL = /[\p{Cc}\p{Zl}\p{Zp}\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;

test('whatever is quoted, it is one short line that no terminal acts upon', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
      const quoted = quote(text);
      expect(quoted).not.toMatch(UNFIT_FOR_A_TERMINAL);
      expect(quoted.isWellFormed()).toBe(true);
      expect(quoted.length).toBeLessThan(64 * 6 + 4);
    }),
  );
});

test('short text can be read back', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 64 }), (text) => {
      fc.pre(text.length <= 64 && text.isWellFormed());
      expect(JSON.parse(quote(text))).toBe(text);
    }),
  );
});

test.each([
  ['camera-7', '"camera-7"'],
  ['\x1b[31mred\n', '"\\u001b[31mred\\n"'],
  ['\u009b31m\u202e', '"\\u009b31m\\u202e"'],
  ['x'.repeat(65), `"${'x'.repeat(64)}…"`],
])('%j is shown as %s', (text, shown) => {
  expect(quote(text)).toBe(shown);
});
