import { expect, test } from 'vitest';
import { effectiveLabels, selectsHost } from './selector.ts';

const labels = effectiveLabels({ role: 'edge', site: 'a' }, { site: 'b' });

test.each([
  [{ names: ['h'], matchLabels: {} }, true],
  [{ names: ['x'], matchLabels: {} }, false],
  [{ names: [], matchLabels: { role: 'edge' } }, true],
  [{ names: [], matchLabels: { role: 'edge', site: 'b' } }, true],
  [{ names: [], matchLabels: { site: 'a' } }, false],
  [{ names: ['h'], matchLabels: { site: 'a' } }, true],
  [{ names: [], matchLabels: {} }, false],
  [{ names: [], matchLabels: { toString: 'x' } }, false],
])('%j selects the host: %s', (selector, expected) => {
  expect(selectsHost(selector, 'h', labels)).toBe(expected);
});
