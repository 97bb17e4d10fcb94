import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { replaceFigures } from './document.ts';

const path = join(import.meta.dirname, '../../docs/measurements.md');

test('the figures of docs/measurements.md can be replaced, and nothing else changes', () => {
  const document = readFileSync(path, 'utf8');
  const once = replaceFigures(document, 'FIRST');
  expect(once).toContain('\n\nFIRST\n\n');
  const twice = replaceFigures(once, 'SECOND');
  expect(twice).not.toContain('FIRST');
  expect(twice.replace('SECOND', 'FIRST')).toBe(once);
  const outside = (text: string): string => text.replace(/(<!-- figures: begin.*?-->).*(<!-- figures: end)/s, '$1$2');
  expect(outside(twice)).toBe(outside(document));
});

test('a document without the place, or with two, is refused', () => {
  expect(() => replaceFigures('# Measurements\n', 'x')).toThrow('must have these two lines');
  const document = readFileSync(path, 'utf8');
  expect(() => replaceFigures(document + document, 'x')).toThrow('must have these two lines');
});
